/** What the Node runtime does beyond the contract (test/contract): exact virtual time, bindings, seeds, reports. */

import { beforeEach, expect, test } from 'vitest';
import { DurableObject, hostOf } from '#platform';
import { ObjectNamespace } from '../../../durable/polyfill/object-namespace.ts';
import { settled, VirtualHost } from '../../../durable/polyfill/virtual-host.ts';

let host: VirtualHost;
let reported: unknown[];
beforeEach(() => {
  host = new VirtualHost({ startMs: 1_000 });
  reported = [];
});

/** Counts in memory and on disk, rings, waits, and fails on demand. */
class Counter extends DurableObject {
  readonly #name: unknown;
  #memory = 0;
  #failures = 0;
  ticks = 0;

  constructor(ctx: DurableObjectState, env: { NAME: string }) {
    super(ctx, env as never);
    this.#name = env.NAME;
    ctx.blockConcurrencyWhile(async () => {
      this.#memory = 100 * (((await ctx.storage.get('started')) as number | undefined) ?? 0);
      await ctx.storage.put('started', 1);
    });
  }

  async add(amount: number): Promise<{ memory: number; disk: number }> {
    this.#memory += amount;
    const disk = (((await this.ctx.storage.get('disk')) as number | undefined) ?? 0) + amount;
    await this.ctx.storage.put('disk', disk);
    return { memory: this.#memory, disk };
  }

  describe(): unknown {
    return { name: this.#name, id: String(this.ctx.id), named: this.ctx.id.name };
  }

  never(): Promise<void> {
    return new Promise(() => {});
  }

  async ring(dueMs: number, failures = 0): Promise<void> {
    this.#failures = failures;
    await this.ctx.storage.setAlarm(dueMs);
  }

  async rings(): Promise<unknown> {
    return (await this.ctx.storage.get('rings')) ?? [];
  }

  override async alarm(): Promise<void> {
    const rings = (await this.rings()) as number[];
    await this.ctx.storage.put('rings', [...rings, hostOf(this.ctx).nowMs()]);
    if (this.#failures-- > 0) throw new Error('not yet');
  }

  tick(): void {
    hostOf(this.ctx).after(10, () => {
      this.ticks++;
      void this.ctx.storage.put('ticked', true);
    });
  }

  async ticked(): Promise<unknown> {
    return this.ctx.storage.get('ticked');
  }
}

const namespace = (name = 'n') =>
  new ObjectNamespace(Counter, { env: { NAME: name }, host, report: (error) => reported.push(error) });

test('an object has its bindings and knows its name', async () => {
  const counters = namespace();
  const id = String(counters.idFromName('a'));
  expect(await counters.getByName('a').describe()).toEqual({ name: 'n', id, named: 'a' });
});

test('a crash loses memory and what was being asked, and keeps storage', async () => {
  const counters = namespace();
  const id = counters.idFromName('a');
  const stub = counters.get(id);
  await stub.add(5);
  const asked = stub.never().catch((thrown: unknown) => thrown);
  stub.tick().catch(() => {});
  await settled();
  counters.crash(id);
  expect(await asked).toMatchObject({ retryable: true });
  await host.advance(100);
  expect(await stub.ticked()).toBeUndefined();
  expect(await stub.add(1)).toEqual({ memory: 101, disk: 6 });
});

test('an alarm that fails is repeated, later and later, and in the end reported', async () => {
  const stub = namespace().getByName('a');
  await stub.ring(1_000, 2);
  await host.advance(20_000);
  expect(await stub.rings()).toEqual([1_000, 3_000, 7_000]);
  expect(reported).toEqual([]);
  const hopeless = namespace().getByName('b');
  await hopeless.ring(host.nowMs(), 100);
  await host.advance(1_000_000);
  expect((await hopeless.rings()) as unknown[]).toHaveLength(7);
  expect(reported).toHaveLength(1);
});

test('the same seed gives the same chance, another seed another', () => {
  const draws = (seed: number) => {
    const chance = new VirtualHost({ seed });
    return [1, 2, 3].map(() => chance.random());
  };
  expect(draws(7)).toEqual(draws(7));
  expect(draws(7)).not.toEqual(draws(8));
});
