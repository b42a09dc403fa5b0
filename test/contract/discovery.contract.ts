/**
 * What every backend of discovery does alike. Each case has processes (`open`) on one fresh backend; `silence` is what the
 * loss of one looks like from outside: it says nothing more, not even goodbye.
 */
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Logger } from '../../durable/runtime/log.ts';
import type { Discovery, DiscoveryChange, DiscoveryOptions } from '../../gpu-sidecar/discovery/discovery.ts';
import { systemTimers } from '../../gpu-sidecar/timers.ts';
import { soon } from '../harness/soon.ts';

export interface DiscoveryWorld {
  /** A process of its own on the backend. Made with these options; the timers of a silenced one stand still. */
  open(options: DiscoveryOptions): Discovery;
  /** The backend goes and comes back; `empty`: it has forgotten everything. */
  restart(how: { empty: boolean }): Promise<void>;
  close(): Promise<void>;
}

export interface DiscoveryContract {
  name: string;
  /** The shortest lease that it can keep. */
  leaseMs: number;
  /** How it can come back from a restart; a backend that is no process cannot be restarted. */
  restarts: readonly ('empty' | 'with what it had')[];
  start(): Promise<DiscoveryWorld>;
}

const KEY = 'v1/instances/default/greeter/hello/00000000000000a1';
const value = (text: string) => JSON.stringify({ text });

export function discoveryContract({ name, leaseMs, restarts, start }: DiscoveryContract): void {
  describe(`the ${name} backend of discovery`, () => {
    let world: DiscoveryWorld;
    let opened: Process[];

    class Process {
      readonly discovery: Discovery;
      readonly lines: string[] = [];
      silenced = false;

      constructor() {
        const log = new Logger({ component: 'test', write: (line) => this.lines.push(line) });
        const timers = {
          ...systemTimers,
          after: (delayMs: number, run: () => void) =>
            systemTimers.after(delayMs, () => this.silenced || run()),
        };
        const clock = { nowMs: () => Date.now() };
        const common = { fleetToken: 'token', tls: null, random: Math.random };
        this.discovery = world.open({ leaseMs, clock, timers, log, ...common });
        opened.push(this);
      }

      /** What a watcher of the prefix has been told, and the table that follows from it. */
      watch(prefix: string) {
        const changes: DiscoveryChange[] = [];
        const table = new Map<string, string>();
        const watch = this.discovery.watch(prefix, (change) => {
          changes.push(change);
          if (change.kind === 'added') table.set(change.key, change.value);
          else table.delete(change.key);
        });
        return { changes, table, synced: watch.synced, close: () => watch.close() };
      }
    }

    beforeEach(async () => {
      opened = [];
      world = await start();
    }, 60_000);
    afterEach(async () => {
      await Promise.allSettled(opened.map(({ discovery }) => discovery.close()));
      await world.close();
    });

    it('shows what one process has put to all others', async () => {
      const [worker, reader] = [new Process(), new Process()];
      await worker.discovery.put(KEY, value('a'));
      expect(await reader.discovery.list('v1/instances/')).toEqual([{ key: KEY, value: value('a') }]);
      expect(await reader.discovery.list('v1/instances/default/greeter/hello/')).toHaveLength(1);
      expect(await reader.discovery.list('v1/instances/other/')).toEqual([]);
      expect(await reader.discovery.list('v1/instances/default/greeter/hel/')).toEqual([]);
    });

    it('replays the list to a new watcher as added, then tells what changes', async () => {
      const [worker, reader] = [new Process(), new Process()];
      await worker.discovery.put(KEY, value('a'));
      const { changes, synced } = reader.watch('v1/instances/default/');
      await synced;
      expect(changes).toEqual([{ kind: 'added', key: KEY, value: value('a') }]);
      const second = KEY.replace(/a1$/, 'a2');
      await worker.discovery.put(second, value('b'));
      await soon(() => expect(changes[1]).toEqual({ kind: 'added', key: second, value: value('b') }));
      await worker.discovery.delete(KEY);
      await soon(() => expect(changes[2]).toEqual({ kind: 'removed', key: KEY }));
      expect(changes).toHaveLength(3);
    });

    it('tells a changed value as added again: the address of a worker may change under its name', async () => {
      const [worker, reader] = [new Process(), new Process()];
      await worker.discovery.put(KEY, value('a'));
      const { table, synced } = reader.watch('v1/');
      await synced;
      await worker.discovery.put(KEY, value('b'));
      await soon(() => expect(table.get(KEY)).toBe(value('b')));
    });

    it('tells a watcher nothing of other prefixes, and nothing after its end', async () => {
      const [worker, reader] = [new Process(), new Process()];
      const elsewhere = reader.watch('v1/instances/def/');
      const ended = reader.watch('v1/instances/');
      const all = reader.watch('v1/instances/default/');
      await Promise.all([elsewhere.synced, ended.synced, all.synced]);
      ended.close();
      await worker.discovery.put(KEY, value('a'));
      await soon(() => expect(all.changes).toHaveLength(1));
      expect(elsewhere.changes).toEqual([]);
      expect(ended.changes).toEqual([]);
    });

    it('keeps what a living process has put beyond its lease', async () => {
      const [worker, reader] = [new Process(), new Process()];
      await worker.discovery.put(KEY, value('a'));
      const { changes, synced } = reader.watch('v1/');
      await synced;
      const started = Date.now();
      await soon(() => expect(Date.now() - started).toBeGreaterThan(2 * leaseMs));
      expect(changes).toHaveLength(1);
    });

    it('takes away what a process has put that fell silent, after its lease', async () => {
      const [worker, other, reader] = [new Process(), new Process(), new Process()];
      await worker.discovery.put(KEY, value('a'));
      const kept = KEY.replace(/a1$/, 'a2');
      await other.discovery.put(kept, value('b'));
      const { table, synced } = reader.watch('v1/');
      await synced;
      worker.silenced = true;
      await soon(() => expect([...table.keys()]).toEqual([kept]));
    });

    it('takes back at once what a process has put that leaves in order', async () => {
      const [worker, reader] = [new Process(), new Process()];
      await worker.discovery.put(KEY, value('a'));
      await worker.discovery.close();
      expect(await reader.discovery.list('v1/')).toEqual([]);
    });

    it('refuses keys that no backend could keep', async () => {
      const { discovery } = new Process();
      for (const key of ['', '/a', 'a//b', 'a/../b', 'a b', `${'k'.repeat(600)}`]) {
        await expect(discovery.put(key, '{}')).rejects.toMatchObject({ code: 'invalid_request' });
      }
    });

    it('gives every watcher the table that the puts and deletes of all make', async () => {
      const [first, second, reader] = [new Process(), new Process(), new Process()];
      const { table, synced } = reader.watch('p/');
      await synced;
      const act = fc.record({
        who: fc.constantFrom(first, second),
        key: fc.integer({ min: 0, max: 4 }),
        value: fc.option(fc.integer({ min: 0, max: 2 })),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 8 }), async (acts) => {
          const expected = new Map<string, string>();
          for (const { who, key, value: number } of acts) {
            // A key has one owner.
            const own = `p/${who === first ? 'first' : 'second'}/${key}`;
            if (number === null) await who.discovery.delete(own);
            else await who.discovery.put(own, value(String(number)));
            if (number === null) expected.delete(own);
            else expected.set(own, value(String(number)));
          }
          for (const [key, text] of expected) await soon(() => expect(table.get(key)).toBe(text));
          const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1));
          const listed = await reader.discovery.list('p/');
          for (const [key, text] of sorted) expect(listed).toContainEqual({ key, value: text });
          await Promise.all(
            [...expected.keys()].map((key) => ownerOf(key, first, second).discovery.delete(key)),
          );
          const rest = (await reader.discovery.list('p/')).map(({ key }) =>
            ownerOf(key, first, second).discovery.delete(key),
          );
          await Promise.all(rest);
          await soon(() => expect(table.size).toBe(0));
        }),
        { numRuns: 5 },
      );
    });

    for (const how of restarts) {
      it(`is whole again by itself when the backend comes back ${how}`, async () => {
        const [worker, reader] = [new Process(), new Process()];
        await worker.discovery.put(KEY, value('a'));
        const { table, synced } = reader.watch('v1/');
        await synced;
        await world.restart({ empty: how === 'empty' });
        const late = KEY.replace(/a1$/, 'a2');
        await soon(() => worker.discovery.put(late, value('late')));
        await soon(async () => expect(await reader.discovery.list('v1/')).toHaveLength(2));
        await soon(() =>
          expect(Object.fromEntries(table)).toEqual({ [KEY]: value('a'), [late]: value('late') }),
        );
        worker.silenced = true;
        await soon(() => expect(table.size).toBe(0));
      });
    }
  });
}

const ownerOf = <P>(key: string, first: P, second: P): P => (key.startsWith('p/first/') ? first : second);
