/** A namespace that may go to sleep: who waits for a worker, who is served, and who is told why not. */

import { describe, expect, it } from 'vitest';
import { checkedPolicy } from '../../../../durable/router/queue/configured-policy.ts';
import type { RouteAnswer } from '../../../../durable/router/rpc.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import { Harness } from '../core-harness.ts';
import { workerFrame } from '../fleet-worker.ts';

function asleep(sleep: { most?: number; timeoutMs?: number } = {}) {
  let woke = 0;
  const harness = new Harness({}, { sleep: { most: 8, timeoutMs: 60_000, woke: () => woke++, ...sleep } });
  return { harness, woke: () => woke };
}

/** A namespace whose one worker was there and left. */
function fallenAsleep(sleep: { most?: number; timeoutMs?: number } = {}) {
  const all = asleep(sleep);
  all.harness.worker('a1').hangUp();
  return all;
}

function ticketOf(answer: RouteAnswer): number {
  if (answer.kind !== 'ticket') throw new Error(JSON.stringify(answer));
  return answer.ticket;
}

/** Waits as a function does; the answer once there is one. */
function waiting(harness: Harness, ticket: number): { answer: RouteAnswer | null } {
  const waiter: { answer: RouteAnswer | null } = { answer: null };
  waiter.answer = harness.core.wait(ticket, (answer) => {
    waiter.answer = answer;
  });
  return waiter;
}

const decides = { kind: 'decision' };

describe('a model without workers that may sleep', () => {
  it('stays in the directory as sleeping, and wakes with its next worker', () => {
    const { harness } = asleep();
    const worker = harness.worker('a1');
    expect(harness.core.models('default')).toMatchObject([
      { name: 'tiny', maySleep: true, instances: ['a1'] },
    ]);
    expect(harness.core.models('default')[0]).not.toHaveProperty('sleeping');
    worker.hangUp();
    expect(harness.core.models('default')).toMatchObject([
      { name: 'tiny', namespace: 'default', sleeping: true, addresses: [], instances: [] },
    ]);
    expect(harness.core.status()).toMatchObject({ sleeping: ['tiny'], held: 0, workers: [] });
    harness.worker('b2');
    expect(harness.core.models('default')[0]).not.toHaveProperty('sleeping');
  });

  it('is gone with its last worker where nobody may sleep', () => {
    const harness = new Harness();
    harness.worker('a1').hangUp();
    expect(harness.core.models('default')).toEqual([]);
    expect(harness.route()).toMatchObject({ kind: 'refusal', code: 'model_not_found' });
  });

  it('has requests wait, and gives them to the first worker in the order of their coming', () => {
    const { harness, woke } = fallenAsleep();
    const before = woke();
    const tickets = ['r1', 'r2', 'r3'].map((requestId) => ticketOf(harness.route({ requestId })));
    expect(harness.core.isWanted).toBe(true);
    expect(harness.core.hasWaiting).toBe(true);
    const order: number[] = [];
    // They ask in another order than they came.
    for (const at of [2, 0, 1]) harness.core.wait(tickets[at]!, () => order.push(at));
    harness.worker('b2');
    expect(order).toEqual([0, 1, 2]);
    expect(harness.state('b2').activeRequests).toBe(3);
    expect(harness.core.isWanted).toBe(false);
    expect(woke()).toBe(before + 1);
  });

  it('keeps the decision for who asks a moment later', () => {
    const { harness } = fallenAsleep();
    const ticket = ticketOf(harness.route());
    harness.worker('b2');
    expect(waiting(harness, ticket).answer).toMatchObject({ ...decides, worker: 'b2' });
    expect(waiting(harness, ticket).answer).toMatchObject({ kind: 'refusal', code: 'not_found' });
  });

  it('is asleep as soon as its last worker drains: requests wait, those under way go on', () => {
    const { harness } = asleep();
    const worker = harness.worker('a1');
    const running = harness.decide({ requestId: 'r0' });
    worker.send(workerFrame({ case: 'draining', value: {} }));
    expect(harness.core.models('default')[0]).toMatchObject({ sleeping: true });
    const waiter = waiting(harness, ticketOf(harness.route()));
    expect(harness.state('a1').activeRequests).toBe(1);
    harness.worker('b2');
    expect(waiter.answer).toMatchObject({ ...decides, worker: 'b2' });
    harness.core.release(running.reservation);
    expect(harness.state('a1').activeRequests).toBe(0);
  });

  it('holds a request whose worker said that it drains, although it had been sent there', () => {
    const { harness } = asleep();
    const worker = harness.worker('a1');
    const { reservation } = harness.decide();
    worker.send(workerFrame({ case: 'draining', value: {} }));
    const again = harness.route({ exclude: ['a1'], release: reservation });
    const waiter = waiting(harness, ticketOf(again));
    worker.hangUp();
    harness.worker('b2');
    expect(waiter.answer).toMatchObject({ ...decides, worker: 'b2' });
  });

  it('holds a request that says its model sleeps, when the router has forgotten', () => {
    const { harness } = asleep();
    expect(harness.route()).toMatchObject({ kind: 'refusal', code: 'model_not_found' });
    const held = harness.route({ asleep: { tokenizerSha256: 'ab'.repeat(32), blockSizeTokens: 4 } });
    const waiter = waiting(harness, ticketOf(held));
    harness.worker('b2');
    expect(waiter.answer).toMatchObject(decides);
  });

  it('does not give a prompt to a worker whose tokens are others', () => {
    const { harness } = asleep();
    const held = harness.route({ asleep: { tokenizerSha256: 'cd'.repeat(32), blockSizeTokens: 4 } });
    const waiter = waiting(harness, ticketOf(held));
    harness.worker('b2');
    expect(waiter.answer).toMatchObject({ kind: 'refusal', code: 'no_workers', retryAfterS: 1 });
    expect(harness.state('b2').activeRequests).toBe(0);
  });

  it('does not hold what no woken worker could be: a pinned one, an allowed one, a query', () => {
    const { harness } = fallenAsleep();
    for (const wish of [{ pinned: 'a1' }, { allowedWorkerIds: ['a1'] }, { queryOnly: true }]) {
      expect(harness.route(wish)).toMatchObject({ kind: 'refusal' });
    }
    expect(harness.core.isWanted).toBe(false);
  });
});

describe('the room where requests wait for a worker', () => {
  it('is bounded, and who is turned away hears when to come again', () => {
    const { harness } = fallenAsleep({ most: 2 });
    ticketOf(harness.route());
    ticketOf(harness.route());
    expect(harness.route()).toMatchObject({ kind: 'refusal', code: 'no_workers', retryAfterS: 1 });
  });

  it('lets nobody wait for ever', () => {
    const { harness } = fallenAsleep({ timeoutMs: 3_000 });
    const ticket = ticketOf(harness.route());
    expect(harness.core.waitMs(ticket)).toBe(LIMITS.ticketWaitMs);
    for (let second = 0; second < 2; second++) {
      expect(waiting(harness, ticket).answer).toBeNull();
      harness.clock.advance(1_000);
    }
    harness.clock.advance(500);
    expect(harness.core.waitMs(ticket)).toBe(500);
    harness.clock.advance(500);
    const { answer } = waiting(harness, ticket);
    expect(answer).toMatchObject({ kind: 'refusal', code: 'no_workers', retryAfterS: 1 });
    expect(harness.core.isWanted).toBe(false);
  });

  it('gives the place of a client that left to another one', () => {
    const { harness } = fallenAsleep({ most: 1 });
    ticketOf(harness.route());
    expect(harness.route()).toMatchObject({ kind: 'refusal' });
    harness.clock.advance(LIMITS.ticketIdleMs);
    ticketOf(harness.route());
  });

  it('frees the worker of a decision that nobody fetches', () => {
    const { harness } = fallenAsleep();
    ticketOf(harness.route());
    harness.worker('b2');
    expect(harness.state('b2').activeRequests).toBe(1);
    harness.clock.advance(LIMITS.ticketIdleMs);
    // Whoever comes next sweeps.
    harness.worker('c3');
    expect(harness.state('b2').activeRequests).toBe(0);
  });

  it('tells a request that was cancelled', () => {
    const { harness } = fallenAsleep();
    const waiter = waiting(harness, ticketOf(harness.route({ requestId: 'r7' })));
    harness.core.abandon(['r7']);
    expect(waiter.answer).toMatchObject({ kind: 'refusal', code: 'cancelled' });
    expect(harness.core.hasWaiting).toBe(false);
  });

  it('tells everybody why nobody comes, and who comes right after, until the rest is over', () => {
    const { harness } = fallenAsleep();
    const waiters = [1, 2].map(() => waiting(harness, ticketOf(harness.route())));
    harness.core.turnAway('--model: /x.gguf is not there', 4_000);
    for (const { answer } of waiters) {
      expect(answer).toMatchObject({ kind: 'refusal', code: 'no_workers', retryAfterS: 4 });
      expect((answer as { message: string }).message).toContain('/x.gguf is not there');
    }
    harness.clock.advance(1_500);
    expect(harness.route()).toMatchObject({ kind: 'refusal', retryAfterS: 3 });
    harness.clock.advance(2_500);
    ticketOf(harness.route());
  });

  it('forgets the rest when a worker comes all the same', () => {
    const { harness } = fallenAsleep();
    harness.core.turnAway('no port', 30_000);
    const worker = harness.worker('b2');
    expect(harness.route()).toMatchObject(decides);
    worker.hangUp();
    ticketOf(harness.route());
  });

  it('passes a request on to the queue where its worker is busy at once', () => {
    const { harness } = asleep();
    harness.worker('a1').hangUp();
    harness.core.setQueuePolicy(checkedPolicy({ router_queue_threshold: 0 }));
    const first = waiting(harness, ticketOf(harness.route({ requestId: 'r1' })));
    const second = waiting(harness, ticketOf(harness.route({ requestId: 'r2' })));
    harness.worker('b2');
    expect(first.answer).toMatchObject(decides);
    const passed = ticketOf(second.answer!);
    const waiter = waiting(harness, passed);
    harness.core.release((first.answer as { reservation: number }).reservation);
    expect(waiter.answer).toMatchObject(decides);
  });

  it('takes those who stood in the queue when the last worker began to drain', () => {
    const { harness } = asleep();
    const worker = harness.worker('a1');
    harness.core.setQueuePolicy(checkedPolicy({ router_queue_threshold: 0 }));
    harness.decide({ requestId: 'r1' });
    const queued = waiting(harness, ticketOf(harness.route({ requestId: 'r2' })));
    worker.send(workerFrame({ case: 'draining', value: {} }));
    const moved = waiting(harness, ticketOf(queued.answer!));
    expect(harness.core.isWanted).toBe(true);
    harness.worker('b2');
    expect(moved.answer).toMatchObject({ ...decides, worker: 'b2' });
  });
});
