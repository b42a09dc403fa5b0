/** The queue in front of the decision, through the router's core on a manual clock: who waits, who goes, who is refused. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkedPolicy } from '../../../../durable/router/queue/configured-policy.ts';
import type { RouteAnswer, RouteRequest } from '../../../../durable/router/rpc.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import { Phase } from '../../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { BLOCK, Harness, type TestSocket } from '../core-harness.ts';
import { batchFrame, endFrame } from '../fleet-worker.ts';

const A = '00000000000000a1';
const B = '00000000000000b2';

interface ClassFields {
  queue_policy?: string;
  quantum?: number;
  prefill_busy_threshold?: number;
  request_queue_limit_per_worker?: number;
  raw_isl_token_queue_limit_per_worker?: number;
  cached_token_queue_limit_per_worker?: number;
  slo_ms?: number;
}

/** Families of one class each, in one bucket; busy with any prefill token. */
const families = (table: Record<string, ClassFields>) => ({
  default_policy_family: Object.keys(table)[0],
  uncached_isl_buckets: [{ min_tokens: 0, bucket: 'any' }],
  policy_classes: Object.entries(table).map(([name, more]) => ({
    name: `${name}-any`,
    policy_family: name,
    cache_bucket: 'any',
    quantum: 1,
    prefill_busy_threshold: 0,
    ...more,
  })),
});

class Queueing extends Harness {
  /** Answers that were waited for, by request id. */
  readonly answers = new Map<string, RouteAnswer>();

  constructor(document: object) {
    super({ mode: 'round-robin' }, { queuePolicy: checkedPolicy(document) });
  }

  /** Routes and waits; the ticket, or 0 when the answer came at once. */
  ask(requestId: string, request: Partial<RouteRequest> & { blocks?: number[] } = {}): number {
    const answer = this.route({ requestId, ...request });
    if (answer.kind !== 'ticket') {
      this.answers.set(requestId, answer);
      return 0;
    }
    this.wait(requestId, answer.ticket);
    return answer.ticket;
  }

  wait(requestId: string, ticket: number): void {
    const answer = this.core.wait(ticket, (late) => this.answers.set(requestId, late));
    if (answer !== null) this.answers.set(requestId, answer);
  }

  reservation(requestId: string): number {
    const answer = this.answers.get(requestId);
    if (answer?.kind !== 'decision') throw new Error(`${requestId}: ${JSON.stringify(answer)}`);
    return answer.reservation;
  }

  /** Ends requests one after the other and says in which order the others got their worker. */
  order(first: string): string[] {
    let running = first;
    const order: string[] = [];
    const seen = new Set(this.answers.keys());
    for (;;) {
      this.core.release(this.reservation(running));
      const next = [...this.answers.keys()].find((id) => !seen.has(id));
      if (next === undefined) return order;
      seen.add(next);
      order.push(next);
      running = next;
    }
  }

  queued(name: string) {
    return this.core.status().queue.find(({ policyClass }) => policyClass === `${name}-any`);
  }
}

const firstToken = (socket: TestSocket, reservation: number) =>
  socket.send(batchFrame({ progress: [{ reservation, phase: Phase.FIRST_TOKEN }] }));

describe('who waits', () => {
  test('nobody without a threshold', () => {
    const harness = new Queueing({});
    harness.worker(A);
    for (let i = 0; i < 50; i++) expect(harness.ask(`r${i}`)).toBe(0);
    expect(harness.core.status().queue).toEqual([]);
    expect(harness.core.metrics()).not.toContain('router_queue');
  });

  test('who finds all workers busy; the first free one serves', () => {
    const harness = new Queueing({ router_queue_threshold: 0 });
    const a = harness.worker(A);
    harness.worker(B);
    expect([harness.ask('r1'), harness.ask('r2')]).toEqual([0, 0]);
    expect(harness.ask('r3')).toBeGreaterThan(0);
    expect(harness.answers.has('r3')).toBe(false);
    firstToken(a, harness.reservation('r1'));
    expect(harness.answers.get('r3')).toMatchObject({ kind: 'decision', worker: A });
  });

  test('busy is above the threshold, as a share of what a pass of the engine takes', () => {
    const harness = new Queueing({ router_queue_threshold: 2 });
    const runtime = {
      totalKvBlocks: 100,
      maxNumBatchedTokens: 10,
      kvEventPublishingEnabled: true,
      engine: 'mock',
    };
    harness.worker(A, { runtime });
    expect(harness.ask('r1', { promptTokens: 20 })).toBe(0);
    expect(harness.ask('r2', { promptTokens: 1 })).toBe(0);
    expect(harness.ask('r3', { promptTokens: 1 })).toBeGreaterThan(0);
  });

  test('a further attempt has had its turn, and a query waits for nothing', () => {
    const harness = new Queueing({ router_queue_threshold: 0 });
    harness.worker(A);
    harness.ask('r1');
    expect(harness.ask('r2')).toBeGreaterThan(0);
    expect(harness.ask('again', { release: 12345 })).toBe(0);
    expect(harness.ask('query', { queryOnly: true })).toBe(0);
  });

  test('who is abandoned waits no more, and nobody is kept from a worker by it', () => {
    const harness = new Queueing({ router_queue_threshold: 0 });
    harness.worker(A);
    for (const id of ['first', 'left', 'right']) harness.ask(id);
    harness.core.abandon(['left', 'nobody']);
    expect(harness.answers.get('left')).toMatchObject({ kind: 'refusal', code: 'cancelled' });
    expect(harness.order('first')).toEqual(['right']);
    expect(harness.core.status().queue).toMatchObject([{ requests: 0 }]);
  });

  test('a pinned request waits for its worker and holds up nobody', () => {
    const harness = new Queueing({ router_queue_threshold: 0 });
    harness.worker(A);
    harness.worker(B);
    harness.ask('r1', { pinned: A });
    expect(harness.ask('pinned', { pinned: A })).toBeGreaterThan(0);
    expect(harness.ask('r2')).toBe(0);
    expect(harness.answers.get('r2')).toMatchObject({ worker: B });
    harness.core.release(harness.reservation('r1'));
    expect(harness.answers.get('pinned')).toMatchObject({ worker: A });
  });

  test('what brings a worker ends the wait: one joins, one leaves its backlog, the last is gone', () => {
    const harness = new Queueing({ router_queue_threshold: 0 });
    const a = harness.worker(A);
    for (const id of ['r1', 'r2', 'r3']) harness.ask(id);
    harness.worker(B);
    expect(harness.answers.get('r2')).toMatchObject({ worker: B });
    harness.connect();
    a.hangUp();
    expect(harness.answers.has('r3')).toBe(false);
    harness.clock.advance(10_001);
    harness.core.sweep(harness.clock.nowMs());
    expect(harness.answers.get('r3')).toMatchObject({ kind: 'refusal', code: 'no_workers' });
  });
});

describe('who is next', () => {
  const four = (queuePolicy: string, requests: Record<string, Partial<RouteRequest>>) => {
    const harness = new Queueing({ router_queue_threshold: 0, router_queue_policy: queuePolicy });
    harness.worker(A);
    harness.ask('first');
    for (const [id, request] of Object.entries(requests)) {
      harness.ask(id, request);
      harness.clock.advance(100);
    }
    return harness.order('first');
  };

  test('fcfs: who came first, or was told to count as older', () => {
    expect(four('fcfs', { a: {}, b: {}, c: { priorityJump: 1 }, d: { priorityJump: -5 } })).toEqual([
      'c',
      'a',
      'b',
      'd',
    ]);
  });

  test('batches: behind everybody else, whatever the policy and however long they have waited', () => {
    const batch = { policyClass: 'batch', strictPriority: -1 };
    for (const policy of ['fcfs', 'lcfs', 'wspt', 'aged']) {
      const order = four(policy, {
        b1: { ...batch, priorityJump: 100 },
        b2: { ...batch, promptTokens: 1 },
        a: { promptTokens: 90 },
        c: { promptTokens: 90, priorityJump: -5 },
      });
      expect(order.slice(0, 2).sort(), policy).toEqual(['a', 'c']);
      expect(order.slice(2).sort(), policy).toEqual(['b1', 'b2']);
    }
  });

  test('lcfs: who came last', () => {
    expect(four('lcfs', { a: {}, b: {}, c: {} })).toEqual(['c', 'b', 'a']);
  });

  test('wspt: the shortest, weighed by priority', () => {
    const order = four('wspt', {
      a: { promptTokens: 90 },
      b: { promptTokens: 30 },
      c: { promptTokens: 100, priorityJump: 9 },
    });
    expect(order).toEqual(['c', 'b', 'a']);
  });

  test('wspt counts what is not cached', () => {
    const harness = new Queueing({ router_queue_threshold: 0, router_queue_policy: 'wspt' });
    harness.worker(A, {}, [[1, 2, 3, 4, 5]]);
    harness.ask('first');
    harness.ask('short', { blocks: [9, 8] });
    harness.ask('cached', { blocks: [1, 2, 3, 4, 5] });
    expect(harness.order('first')).toEqual(['cached', 'short']);
  });

  test('a higher tier goes before all', () => {
    expect(
      four('fcfs', { a: { priorityJump: 100 }, b: { strictPriority: 1 }, c: { strictPriority: 2 } }),
    ).toEqual(['c', 'b', 'a']);
  });

  test('classes by their quanta, wherever requests stand in line', () => {
    const harness = new Queueing(families({ bronze: { quantum: 10 }, gold: { quantum: 40 } }));
    harness.worker(A);
    harness.ask('first');
    for (let i = 0; i < 20; i++) harness.ask(`b${i}`, { policyClass: 'bronze', promptTokens: 10 });
    for (let i = 0; i < 20; i++) harness.ask(`g${i}`, { policyClass: 'gold', promptTokens: 10 });
    const served = harness.order('first').slice(0, 20);
    expect(served.filter((id) => id.startsWith('g')).length).toBe(16);
  });
});

describe('limits', () => {
  test('are per worker, per class, and refuse only what comes after the one that crosses', () => {
    const harness = new Queueing(
      families({
        gold: { raw_isl_token_queue_limit_per_worker: 10 },
        bronze: { request_queue_limit_per_worker: 1 },
      }),
    );
    harness.worker(A);
    harness.worker(B);
    for (const id of ['r1', 'r2']) harness.ask(id);
    harness.ask('g1', { policyClass: 'gold', promptTokens: 19 });
    harness.ask('g2', { policyClass: 'gold', promptTokens: 500 });
    harness.ask('g3', { policyClass: 'gold' });
    const details = { policy_class: 'gold-any', limit_kind: 'raw_isl_tokens', current: 519, limit: 20 };
    expect(harness.answers.get('g3')).toMatchObject({ kind: 'refusal', code: 'overloaded', details });
    for (const id of ['b1', 'b2', 'b3']) harness.ask(id, { policyClass: 'bronze' });
    expect(harness.answers.get('b3')).toMatchObject({
      details: { limit_kind: 'requests', current: 2, limit: 2 },
    });
    expect([harness.queued('gold')?.requests, harness.queued('bronze')?.requests]).toEqual([2, 2]);
  });

  test('of cached tokens count what the best worker has', () => {
    const harness = new Queueing(families({ gold: { cached_token_queue_limit_per_worker: 8 } }));
    harness.worker(A, {}, [[1, 2]]);
    harness.ask('r1');
    harness.ask('r2', { blocks: [1, 2] });
    harness.ask('r3');
    const details = { limit_kind: 'cached_tokens', current: 2 * BLOCK, limit: 8 };
    expect(harness.answers.get('r3')).toMatchObject({ details });
  });

  test('of 0 take a free worker or nothing', () => {
    const harness = new Queueing(families({ gold: { request_queue_limit_per_worker: 0 } }));
    harness.worker(A);
    expect(harness.ask('r1')).toBe(0);
    harness.ask('r2');
    expect(harness.answers.get('r2')).toMatchObject({ details: { current: 0, limit: 0 } });
  });
});

describe('time', () => {
  test('a wait past slo_ms is shed with what it was over; one that runs is left alone', () => {
    const harness = new Queueing(families({ gold: { slo_ms: 500 }, bronze: {} }));
    harness.worker(A);
    harness.ask('runs');
    const ticket = harness.ask('late');
    harness.ask('patient', { policyClass: 'bronze' });
    expect(harness.core.waitMs(ticket)).toBe(500);
    harness.clock.advance(620);
    harness.core.sweep(harness.clock.nowMs());
    expect(harness.answers.get('late')).toMatchObject({
      code: 'overloaded',
      details: { policy_class: 'gold-any', stage: 'dispatch', slo_ms: 500, overdue_ms: 120 },
    });
    expect(harness.answers.has('patient')).toBe(false);
    expect(harness.core.metrics()).toContain(
      'deadline_expired_total{policy_class="gold-any",stage="dispatch"} 1',
    );
  });

  test('a ticket that nobody asks for is dropped, with the worker that it was given', () => {
    const harness = new Queueing({ router_queue_threshold: 0 });
    harness.worker(A);
    harness.ask('r1');
    const gone = harness.route();
    const back = harness.route();
    if (gone.kind !== 'ticket' || back.kind !== 'ticket') throw new Error('no ticket');
    harness.core.release(harness.reservation('r1'));
    expect(harness.state(A).activeRequests).toBe(1);
    harness.clock.advance(LIMITS.ticketIdleMs - 1);
    harness.wait('back', back.ticket);
    harness.clock.advance(1);
    harness.core.sweep(harness.clock.nowMs());
    expect(harness.answers.get('back')).toMatchObject({ kind: 'decision' });
    expect(harness.core.wait(gone.ticket, () => {})).toMatchObject({ kind: 'refusal', code: 'not_found' });
    expect(harness.state(A).activeRequests).toBe(1);
  });

  test('a wait that was given up gets nothing; the next one does', () => {
    const harness = new Queueing({ router_queue_threshold: 0 });
    harness.worker(A);
    harness.ask('r1');
    const ticket = harness.route();
    if (ticket.kind !== 'ticket') throw new Error('no ticket');
    const wake = () => harness.answers.set('first', ticket);
    expect(harness.core.wait(ticket.ticket, wake)).toBeNull();
    expect(harness.core.unwait(ticket.ticket, wake)).toBe(true);
    harness.core.release(harness.reservation('r1'));
    harness.wait('second', ticket.ticket);
    expect(harness.answers.has('first')).toBe(false);
    expect(harness.answers.get('second')).toMatchObject({ kind: 'decision' });
    expect(harness.core.unwait(ticket.ticket, wake)).toBe(false);
  });
});

describe('a policy that changes', () => {
  test('puts everybody who waits into a class of the new one, in order of arrival', () => {
    const harness = new Queueing(families({ gold: {}, bronze: {} }));
    harness.worker(A);
    harness.ask('first');
    for (const [id, policyClass] of Object.entries({ a: 'gold', b: 'bronze', c: 'gold', d: 'nobody' })) {
      harness.ask(id, { policyClass });
    }
    harness.core.setQueuePolicy(checkedPolicy({ router_queue_threshold: 0 }));
    expect(harness.core.status().queue).toMatchObject([{ policyClass: 'default', requests: 4 }]);
    expect(harness.order('first')).toEqual(['a', 'b', 'c', 'd']);
  });

  test('to none lets all go', () => {
    const harness = new Queueing({ router_queue_threshold: 0 });
    harness.worker(A);
    for (const id of ['first', 'a', 'b']) harness.ask(id);
    harness.core.setQueuePolicy(checkedPolicy({}));
    expect([...harness.answers.values()].map(({ kind }) => kind)).toEqual([
      'decision',
      'decision',
      'decision',
    ]);
    expect(harness.ask('c')).toBe(0);
  });
});

test('whatever comes, ends, changes and falls silent: each request is answered once, and in the end nobody waits', () => {
  const policies = [
    families({ gold: { quantum: 4, queue_policy: 'wspt' }, bronze: {} }),
    families({
      gold: { slo_ms: 3_000, request_queue_limit_per_worker: 3 },
      bronze: { queue_policy: 'lcfs' },
    }),
    { router_queue_threshold: 0 },
  ];
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('ask' as const),
      policyClass: fc.constantFrom('gold', 'bronze', 'other'),
      promptTokens: fc.integer({ min: 1, max: 500 }),
      strictPriority: fc.nat(2),
      pinned: fc.option(fc.constantFrom(A, B), { nil: undefined, freq: 5 }),
    }),
    fc.record({ kind: fc.constant('end' as const), which: fc.nat(20) }),
    fc.record({ kind: fc.constant('policy' as const), which: fc.nat(2) }),
    fc.record({ kind: fc.constant('time' as const), ms: fc.nat(2_500) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const harness = new Queueing(policies[0]!);
      const sockets = [harness.worker(A), harness.worker(B)];
      const running = () =>
        [...harness.answers].filter(([id, { kind }]) => kind === 'decision' && !ended.has(id));
      const ended = new Set<string>();
      const tickets = new Map<string, number>();
      const end = (id: string) => {
        ended.add(id);
        for (const socket of sockets) socket.send(endFrame(harness.reservation(id)));
      };
      let asked = 0;
      for (const each of steps) {
        if (each.kind === 'ask') {
          const { kind: _, pinned, ...request } = each;
          const id = `r${asked++}`;
          tickets.set(id, harness.ask(id, pinned === undefined ? request : { ...request, pinned }));
        } else if (each.kind === 'end') {
          const some = running();
          if (some.length > 0) end(some[each.which % some.length]![0]);
        } else if (each.kind === 'policy') {
          harness.core.setQueuePolicy(checkedPolicy(policies[each.which]));
        } else {
          harness.clock.advance(each.ms);
          for (const socket of sockets) socket.send(batchFrame({}));
          harness.core.sweep(harness.clock.nowMs());
        }
        const waiting = harness.core.status().queue.reduce((sum, { requests }) => sum + requests, 0);
        if (waiting !== asked - harness.answers.size)
          throw new Error(`${waiting} wait of ${asked}, ${harness.answers.size} answered`);
      }
      for (let some = running(); some.length > 0; some = running()) end(some[0]![0]);
      expect(harness.answers.size).toBe(asked);
      const queue = harness.core.status().queue;
      expect(
        queue.every(
          ({ requests, rawIslTokens, cachedTokens, deficitTokens }) =>
            requests + rawIslTokens + cachedTokens + deficitTokens === 0,
        ),
      ).toBe(true);
    }),
    { numRuns: 60 },
  );
});
