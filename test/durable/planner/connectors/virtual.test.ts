/** The virtual connector keeps the contract, and its outbox serves one executor at a time. */

import { describe, expect, it } from 'vitest';
import { Outbox, type OutboxDisk } from '../../../../durable/planner/connectors/outbox.ts';
import { virtualConnector } from '../../../../durable/planner/connectors/virtual.ts';
import type { KeptOrder } from '../../../../durable/planner/rpc.ts';
import { VirtualHost } from '../../../../durable/polyfill/virtual-host.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import { connectorContract } from '../../../contract/connector.contract.ts';

function memoryDisk(): OutboxDisk {
  let kept: KeptOrder | null = null;
  return { read: () => kept, write: (order) => (kept = structuredClone(order)) };
}

const ANYBODY = { executor: 'anybody' };

connectorContract(async () => {
  const host = new VirtualHost();
  const disk = memoryDisk();
  let outbox = new Outbox(disk, host);
  let workers = 0;
  const newest = () => outbox.newest!.order;
  return {
    connector: virtualConnector({ outbox }),
    registered: () => ({ worker: { ready: workers, starting: 0, draining: 0 } }),
    async execute() {
      workers = newest().counts.worker!;
      outbox.complete(newest().id, { failed: null, ...ANYBODY });
    },
    async fail(why) {
      outbox.complete(newest().id, { failed: why, ...ANYBODY });
    },
    reopened() {
      outbox = new Outbox(disk, host);
      return virtualConnector({ outbox });
    },
  };
});

describe('the outbox', () => {
  const wish = { after: 0, waitMs: 10_000, executor: 'a' };

  it('tells who waits of an order in the turn in which it is given, and nobody in vain for longer than asked', async () => {
    const host = new VirtualHost();
    const outbox = new Outbox(memoryDisk(), host);
    const told = outbox.wait(wish);
    outbox.put({ id: 1, counts: { worker: 2 } });
    expect(await told).toMatchObject({ order: { id: 1, counts: { worker: 2 } }, outcome: 'pending' });
    const vain = outbox.wait({ ...wish, after: 1 });
    await host.advance(10_000);
    expect(await vain).toBeNull();
    // Who begins anew gets it again.
    expect(await outbox.wait(wish)).toMatchObject({ order: { id: 1 } });
  });

  it('refuses a second executor while the first one asks, and takes it when that one is silent', async () => {
    const host = new VirtualHost();
    const outbox = new Outbox(memoryDisk(), host);
    outbox.put({ id: 1, counts: { worker: 2 } });
    await outbox.wait({ ...wish, waitMs: 0 });
    const other = { ...wish, waitMs: 0, executor: 'b' };
    expect(await outbox.wait(other)).toMatchObject({ refused: 'conflict', message: /'a' executes/ });
    expect(outbox.complete(1, { failed: null, executor: 'b' })).toMatchObject({ refused: 'conflict' });
    expect(outbox.progress).toEqual({ kind: 'pending' });
    await host.advance(LIMITS.plannerExecutorMs);
    expect(await outbox.wait(other)).toMatchObject({ order: { id: 1 } });
  });

  it('refuses a completion of an order that never was, and one that says the opposite of what was said', () => {
    const outbox = new Outbox(memoryDisk(), new VirtualHost());
    const done = { failed: null, executor: 'a' };
    expect(outbox.complete(1, done)).toMatchObject({ refused: 'not_found' });
    outbox.put({ id: 1, counts: { worker: 2 } });
    outbox.put({ id: 2, counts: { worker: 3 } });
    expect(outbox.complete(1, done)).toEqual({ id: 1, outcome: 'superseded' });
    expect(outbox.progress).toEqual({ kind: 'pending' });
    expect(outbox.complete(2, done)).toEqual({ id: 2, outcome: 'done' });
    expect(outbox.complete(2, done)).toEqual({ id: 2, outcome: 'done' });
    expect(outbox.complete(2, { failed: 'no', executor: 'a' })).toMatchObject({
      refused: 'conflict',
      message: 'Order 2 is done already.',
    });
  });
});
