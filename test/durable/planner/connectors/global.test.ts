/** The global connector keeps the contract of all, orders no more than it was granted, and gives back what it was not left. */

import { describe, expect, test } from 'vitest';
import { Grants } from '../../../../durable/global-planner/grants.ts';
import type { Claim, Grant, Refused } from '../../../../durable/global-planner/rpc.ts';
import type { Connector, Order, Progress } from '../../../../durable/planner/connectors/connector.ts';
import { globalConnector } from '../../../../durable/planner/connectors/global.ts';
import { Outbox, type OutboxDisk } from '../../../../durable/planner/connectors/outbox.ts';
import { virtualConnector } from '../../../../durable/planner/connectors/virtual.ts';
import type { KeptOrder } from '../../../../durable/planner/rpc.ts';
import { VirtualHost } from '../../../../durable/polyfill/virtual-host.ts';
import { connectorContract } from '../../../contract/connector.contract.ts';

const CONFIG = { intervalMs: 60_000, roles: { worker: { min: 1, max: 16, gpusPerWorker: 2 } } };
const ANYBODY = { executor: 'anybody' };

function memoryDisk(): OutboxDisk {
  let kept: KeptOrder | null = null;
  return { read: () => kept, write: (order) => (kept = structuredClone(order)) };
}

connectorContract(async () => {
  const host = new VirtualHost();
  const disk = memoryDisk();
  const grants = new Grants({ budgetGpus: 64, priorityOf: () => 0, weightOf: () => 1 });
  let outbox = new Outbox(disk, host);
  let workers = 0;
  const newest = () => outbox.newest!.order;
  const open = () =>
    globalConnector({
      namespace: 'a',
      config: { ...CONFIG, roles: { worker: { ...CONFIG.roles.worker, min: 0 } } },
      behind: virtualConnector({ outbox }),
      ask: async (claim) => grants.ask(claim, host.nowMs()),
    });
  return {
    connector: open(),
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
      return open();
    },
  };
});

/** A namespace whose orders come about at once. */
function namespaceWith(ask: (claim: Claim) => Promise<Grant | Refused>, namespace: string) {
  const orders: Order[] = [];
  let ready = 0;
  const behind: Connector = {
    fleet: async () => ({ worker: { ready, starting: 0, draining: 0 } }),
    async order(order) {
      orders.push(order);
      ready = order.counts.worker!;
    },
    progress: async (): Promise<Progress> => ({ kind: 'done' }),
  };
  const connector = globalConnector({ namespace, config: CONFIG, behind, ask });
  let id = 0;
  return {
    orders,
    running: () => ready,
    look: async () => (await connector.fleet({})).worker!,
    want: (worker: number) => connector.order({ id: ++id, counts: { worker } }),
  };
}

describe('two namespaces under one budget', () => {
  test('share it: what one is to leave it sees as draining, gives back with its next order, and the other gets', async () => {
    let nowMs = 0;
    const grants = new Grants({ budgetGpus: 16, priorityOf: () => 0, weightOf: () => 1 });
    const ask = async (claim: Claim) => grants.ask(claim, nowMs);
    const [a, b] = [namespaceWith(ask, 'a'), namespaceWith(ask, 'b')];
    await a.want(8);
    expect(a.running()).toBe(8);
    await b.want(8);
    expect(b.running()).toBe(0);
    nowMs += CONFIG.intervalMs;
    expect(await a.look()).toEqual({ ready: 4, starting: 0, draining: 4 });
    await b.want(8);
    expect(b.running()).toBe(0);
    await a.want(8);
    expect(a.running()).toBe(4);
    // Its next look says what it runs now.
    expect(await a.look()).toEqual({ ready: 4, starting: 0, draining: 0 });
    await b.want(8);
    expect([a.running(), b.running()]).toEqual([4, 4]);
    expect(grants.status()).toMatchObject({ grantedGpus: 16 });
  });

  test('a global planner that refuses is an error of the order; one that is gone leaves the fleet as it is', async () => {
    const refusing = namespaceWith(async () => ({ refused: 'you are not managed' }), 'a');
    await expect(refusing.want(2)).rejects.toThrow('you are not managed');
    expect(refusing.orders).toEqual([]);
    const gone = namespaceWith(async () => Promise.reject(new Error('gone')), 'a');
    expect(await gone.look()).toEqual({ ready: 0, starting: 0, draining: 0 });
    await expect(gone.want(2)).rejects.toThrow('gone');
  });
});
