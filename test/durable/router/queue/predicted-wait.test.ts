/** The hold of policy stator (`router_queue_wait_ms`): who waits for a predicted wait, and who of them is next. */

import { describe, expect, test } from 'vitest';
import { configuredPolicy } from '../../../../durable/router/queue/configured-policy.ts';
import type { RouteAnswer } from '../../../../durable/router/rpc.ts';
import { resolveSettings, type Settings } from '../../../../durable/runtime/config.ts';
import { Phase } from '../../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { Harness, type TestSocket } from '../core-harness.ts';
import { batchFrame, endFrame } from '../fleet-worker.ts';

const A = '00000000000000a1';
const B = '00000000000000b2';

const policyWith = (settings: Partial<Settings> = {}) =>
  configuredPolicy({ ...resolveSettings([]), ...settings });

class Holding extends Harness {
  readonly answers = new Map<string, RouteAnswer>();

  constructor(settings: Partial<Settings> = {}) {
    super({ rule: 'stator' }, { queuePolicy: policyWith(settings) });
  }

  /** True when it has to wait. */
  ask(requestId: string, promptTokens: number, more: Parameters<Harness['route']>[0] = {}): boolean {
    const answer = this.route({ requestId, promptTokens, ...more });
    if (answer.kind !== 'ticket') {
      this.answers.set(requestId, answer);
      return false;
    }
    const now = this.core.wait(answer.ticket, (late) => this.answers.set(requestId, late));
    if (now !== null) this.answers.set(requestId, now);
    return now === null;
  }

  /** A worker whose engine is as it is believed to be at first, and has told so. */
  taughtWorker(instanceId: string, ...more: [overrides?: object, paths?: number[][]]): TestSocket {
    const socket = this.worker(instanceId, ...more);
    this.ask('taught', 2_048, { pinned: instanceId });
    this.clock.advance(16.5 + 0.0184 * 2_048);
    this.firstToken(socket, 'taught');
    const answer = this.answers.get('taught');
    if (answer?.kind === 'decision') socket.send(endFrame(answer.reservation));
    this.answers.clear();
    return socket;
  }

  firstToken(socket: TestSocket, requestId: string): void {
    const answer = this.answers.get(requestId);
    if (answer?.kind !== 'decision') throw new Error(`${requestId}: ${JSON.stringify(answer)}`);
    socket.send(batchFrame({ progress: [{ reservation: answer.reservation, phase: Phase.FIRST_TOKEN }] }));
  }
}

describe('a request waits', () => {
  test('while every worker would let it wait longer than the setting, and no longer', () => {
    const harness = new Holding();
    const a = harness.taughtWorker(A);
    harness.taughtWorker(B);
    expect([harness.ask('r1', 5_000), harness.ask('r2', 5_000), harness.ask('r3', 5_000)]).toEqual([
      false,
      false,
      true,
    ]);
    harness.clock.advance(100);
    harness.firstToken(
      a,
      harness.answers.get('r1')?.kind === 'decision' && on(harness, 'r1', A) ? 'r1' : 'r2',
    );
    expect(harness.answers.get('r3')).toMatchObject({ kind: 'decision', worker: A });
  });

  test('not behind a prompt that will be done sooner than that', () => {
    const harness = new Holding({ routerQueueWaitMs: 500 });
    harness.taughtWorker(A);
    expect([harness.ask('r1', 5_000), harness.ask('r2', 5_000)]).toEqual([false, false]);
  });

  test('never when the setting is off, nor with the policy dynamo, nor in another mode', () => {
    for (const settings of [
      { routerQueueWaitMs: 'off' as const },
      { routerPolicy: 'dynamo' as const },
      { routerMode: 'round-robin' as const },
    ]) {
      const harness = new Holding(settings);
      harness.taughtWorker(A);
      for (let i = 0; i < 20; i++) expect(harness.ask(`r${i}`, 5_000)).toBe(false);
    }
  });

  test('not where prompts take so little that a place in the queue would cost more', () => {
    const harness = new Holding({ routerQueueWaitMs: 0 });
    const a = harness.taughtWorker(A);
    for (let i = 0; i < 200; i++) {
      harness.ask(`quick${i}`, 4_000);
      harness.clock.advance(2);
      harness.firstToken(a, `quick${i}`);
    }
    expect([harness.ask('r1', 4_000), harness.ask('r2', 4_000)]).toEqual([false, false]);
  });
});

test('nobody waits before an engine has told how long a prompt takes, nor for one that is long overdue', () => {
  const harness = new Holding();
  harness.worker(A);
  expect([harness.ask('r1', 5_000), harness.ask('r2', 5_000)]).toEqual([false, false]);
  const taught = new Holding();
  const a = taught.taughtWorker(A);
  expect([taught.ask('r1', 5_000), taught.ask('r2', 5_000)]).toEqual([false, true]);
  taught.clock.advance(2_000);
  a.send(batchFrame({}));
  expect(on(taught, 'r2', A)).toBe(true);
});

describe('a request that finds the best worker for it busy', () => {
  const PREFIX = Array.from({ length: 1_000 }, (_, i) => i + 1);
  const wanting = () => {
    const harness = new Holding();
    const runtime = { totalKvBlocks: 100_000, kvEventPublishingEnabled: true, engine: 'mock' };
    const a = harness.taughtWorker(A, { runtime }, [PREFIX]);
    const b = harness.taughtWorker(B, { runtime });
    harness.ask('first', 2_000, { pinned: A });
    expect(harness.ask('continued', 4_400, { blocks: PREFIX })).toBe(true);
    return { harness, a, b };
  };

  test('waits for it although another one is free', () => {
    const { harness, a } = wanting();
    harness.firstToken(a, 'first');
    expect(on(harness, 'continued', A)).toBe(true);
  });

  test('is passed by those whose best worker is free', () => {
    const { harness } = wanting();
    expect(harness.ask('other', 1_000)).toBe(false);
    expect(on(harness, 'other', B)).toBe(true);
    expect(harness.answers.has('continued')).toBe(false);
  });

  test('is bound to it after a time, so that others see its load there', () => {
    const { harness, b } = wanting();
    harness.clock.advance(100);
    b.send(batchFrame({}));
    expect(on(harness, 'continued', A)).toBe(true);
    expect(harness.state(A).activeRequests).toBe(2);
  });
});

describe('who is next', () => {
  const next = (settings: Partial<Settings>, waiting: Record<string, number>, everyMs = 0): string[] => {
    const harness = new Holding(settings);
    const a = harness.taughtWorker(A);
    harness.ask('first', 5_000);
    for (const [name, tokens] of Object.entries(waiting)) {
      expect(harness.ask(name, tokens)).toBe(true);
      harness.clock.advance(everyMs);
    }
    const order: string[] = [];
    for (let last = 'first'; order.length < Object.keys(waiting).length; ) {
      harness.firstToken(a, last);
      last = Object.keys(waiting).find((name) => harness.answers.has(name) && !order.includes(name))!;
      order.push(last);
    }
    return order;
  };

  test('of those that came together, the shortest', () => {
    expect(next({}, { long: 4_000, short: 2_000, middle: 3_000 })).toEqual(['short', 'middle', 'long']);
  });

  test('one that has waited twice its own time is passed by nobody', () => {
    expect(next({}, { long: 4_000, short: 2_000 }, 1_000)).toEqual(['long', 'short']);
  });

  test('with an order of one’s own, that one', () => {
    expect(next({ routerQueuePolicy: 'fcfs' }, { long: 4_000, short: 2_000 })).toEqual(['long', 'short']);
  });
});

test('auto is Dynamo’s order where the threshold is Dynamo’s', () => {
  expect(policyWith().router_queue_policy).toBe('aged');
  expect(policyWith({ routerQueueThreshold: 1 }).router_queue_policy).toBe('fcfs');
  expect(policyWith({ routerPolicy: 'dynamo' }).router_queue_policy).toBe('fcfs');
});

const on = (harness: Holding, requestId: string, worker: string): boolean => {
  const answer = harness.answers.get(requestId);
  return answer?.kind === 'decision' && answer.worker === worker;
};
