/** Who computes and who generates, and that both are let go of whatever happens. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Policy } from '../../../../durable/router/policy.ts';
import type { DisaggSettings, RouteRequest } from '../../../../durable/router/rpc.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import { Phase } from '../../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { WorkerType } from '../../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { Harness, testPolicy } from '../core-harness.ts';
import { batchFrame, endFrame } from '../fleet-worker.ts';

const ALWAYS: DisaggSettings = { ...testPolicy().disagg, policy: 'always' };

interface Fleet {
  prefill?: Record<string, number[][]>;
  decode?: Record<string, number[][]>;
  aggregated?: Record<string, number[][]>;
}

function fleet(
  { prefill = { a1: [], a2: [] }, decode = { d1: [], d2: [] }, aggregated = {} }: Fleet = {},
  policy: Partial<Policy> = {},
) {
  const harness = new Harness({ disagg: ALWAYS, ...policy });
  const sockets = new Map<string, ReturnType<Harness['worker']>>();
  const roles = [
    [prefill, WorkerType.PREFILL],
    [decode, WorkerType.DECODE],
    [aggregated, WorkerType.AGGREGATED],
  ] as const;
  for (const [workers, workerType] of roles) {
    for (const [id, paths] of Object.entries(workers)) {
      const address = { grpcAddress: `${id}:1`, httpAddress: `http://${id}:2` };
      sockets.set(id, harness.worker(id, { workerType, ...address }, paths));
    }
  }
  return { harness, sockets };
}

const said = (reservation: number, phase: Phase, more: { outputTokens?: number; ttftMs?: number } = {}) =>
  batchFrame({ progress: [{ reservation, phase, ...more }] });

describe('the decision', () => {
  test('takes the prefill worker that has most of the prompt, and the decode worker by load', () => {
    const { harness } = fleet({ prefill: { a1: [], a2: [[1, 2]] }, decode: { d1: [[1, 2, 3]], d2: [] } });
    // Whatever d1 has cached, it is busier.
    const first = harness.decide({ blocks: [9, 8, 7], pinned: 'd1' });
    expect(first.worker).toBe('d1');
    const decision = harness.decide({ blocks: [1, 2, 3] });
    expect(decision).toMatchObject({
      worker: 'd2',
      address: 'http://d2:2',
      prefill: { worker: 'a2', grpcAddress: 'a2:1', dpRank: 0, overlapBlocks: 2, cachedTokens: 8 },
    });
    expect(decision.prefill!.reservation).not.toBe(decision.reservation);
  });

  test('counts the prompt on the prefill worker and the blocks on the decode worker', () => {
    const { harness } = fleet({ prefill: { a1: [[1]] }, decode: { d1: [] } });
    harness.decide({ blocks: [1, 2, 3] });
    expect(harness.state('a1')).toMatchObject({
      workerType: 'prefill',
      activeRequests: 1,
      activePrefillTokens: 9,
      activeBlocks: 0,
    });
    expect(harness.state('d1')).toMatchObject({ activeRequests: 1, activePrefillTokens: 0, activeBlocks: 3 });
  });

  test.each<[string, Fleet, Partial<RouteRequest> & { blocks?: number[] }]>([
    ['there is no prefill worker', { prefill: {} }, {}],
    ['the only prefill worker is excluded', { prefill: { a1: [] } }, { exclude: ['a1'] }],
    ['the prompt has no whole block beside its last token', {}, { blocks: [1], promptTokens: 4 }],
    ['its blocks are not known', {}, { blocks: [], promptTokens: 100 }],
    ['none of the workers that are allowed computes prompts', {}, { allowedWorkerIds: ['d1'] }],
    ['only an aggregated worker answers', { decode: {}, aggregated: { b1: [] } }, {}],
  ])('leaves the prompt with the worker when %s', (_, workers, request) => {
    const { harness } = fleet(workers);
    const decision = harness.decide({ blocks: [1, 2], ...request });
    expect(decision.prefill).toBeUndefined();
    expect(harness.state(decision.worker).activePrefillTokens).toBeGreaterThan(0);
    expect(harness.core.status().inFlight).toBe(1);
  });

  test('asks no prefill worker whose socket broke', () => {
    const { harness, sockets } = fleet({ prefill: { a1: [] } });
    sockets.get('a1')!.hangUp(1006);
    expect(harness.decide({ blocks: [1, 2] }).prefill).toBeUndefined();
  });

  test('goes on with the worker of a session, and hands its prompt over all the same', () => {
    const { harness } = fleet({}, { affinityTtlMs: 60_000 });
    const session = { id: 's', final: false };
    const first = harness.decide({ blocks: [1, 2], session });
    for (let turn = 0; turn < 4; turn++) {
      expect(harness.decide({ blocks: [1, 2, 3], session })).toMatchObject({
        worker: first.worker,
        prefill: { worker: expect.stringMatching(/^a/) },
      });
    }
  });

  test('in turn, both pools go round by themselves', () => {
    const { harness } = fleet({}, { mode: 'round-robin' });
    const pairs = [0, 1, 2, 3].map(() => harness.decide({ blocks: [1, 2] }));
    expect(pairs.map(({ worker, prefill }) => [worker, prefill?.worker])).toEqual([
      ['d1', 'a1'],
      ['d2', 'a2'],
      ['d1', 'a1'],
      ['d2', 'a2'],
    ]);
  });

  test('a query names both and counts nothing', () => {
    const { harness } = fleet();
    const decision = harness.decide({ blocks: [1, 2], queryOnly: true, explain: true });
    expect(decision).toMatchObject({ reservation: 0, prefill: { reservation: 0 } });
    expect(decision.candidates!.map(({ worker }) => worker).sort()).toEqual(['d1', 'd2']);
    expect(harness.core.status().inFlight).toBe(0);
  });

  test('a model with prefill workers only refuses with what it lacks', () => {
    const { harness } = fleet({ decode: {} });
    expect(harness.route({ blocks: [1, 2] })).toMatchObject({
      code: 'no_workers',
      message: expect.stringContaining('prefill workers only'),
    });
    expect(harness.core.models('default')).toMatchObject([{ prefillOnly: true }]);
    expect(fleet().harness.core.models('default')[0]).not.toHaveProperty('prefillOnly');
  });
});

describe('a named prefill worker', () => {
  test('computes the prompt whatever the conditions say', () => {
    const { harness } = fleet({}, { disagg: { ...ALWAYS, policy: 'never' } });
    expect(harness.decide({ blocks: [1, 2] }).prefill).toBeUndefined();
    expect(harness.decide({ blocks: [1, 2], prefillPinned: 'a2', pinned: 'd1' })).toMatchObject({
      worker: 'd1',
      prefill: { worker: 'a2' },
    });
  });

  test.each(['nobody', 'd2'])('%s is refused by name', (prefillPinned) => {
    const { harness } = fleet();
    expect(harness.route({ blocks: [1, 2], prefillPinned })).toMatchObject({
      kind: 'refusal',
      param: 'prefillPinned',
    });
    expect(harness.core.status().inFlight).toBe(0);
  });

  test('that is the worker itself means that nobody else does', () => {
    const { harness } = fleet({}, { disagg: { ...ALWAYS, policy: 'never' } });
    const decision = harness.decide({ blocks: [1, 2], pinned: 'd1', prefillPinned: 'd1' });
    expect(decision).toMatchObject({ worker: 'd1' });
    expect(decision.prefill).toBeUndefined();
  });
});

describe('conditions', () => {
  const conditional = (change: Partial<DisaggSettings>, workers: Fleet = {}, policy: Partial<Policy> = {}) =>
    fleet(workers, { disagg: { ...ALWAYS, ...change }, ...policy }).harness;

  test('look at the worker that would do both best', () => {
    const decode = { d1: [], d2: [[1, 2, 3, 4]] };
    const harness = conditional({ policy: 'isl_bounding' }, { decode });
    const short = harness.decide({ blocks: [1, 2, 3, 4] });
    expect(short).toMatchObject({ worker: 'd2', overlapBlocks: 4 });
    expect(short.prefill).toBeUndefined();
    expect(harness.decide({ blocks: [5, 6, 7, 8] }).prefill).toBeDefined();
  });

  test('can be changed while requests run, one at a time', () => {
    const { harness } = fleet();
    expect(harness.core.disagg('tiny', {})).toEqual(ALWAYS);
    expect(harness.core.disagg('tiny', { policy: 'never' })).toEqual({ ...ALWAYS, policy: 'never' });
    expect(harness.decide({ blocks: [1, 2] }).prefill).toBeUndefined();
    expect(harness.core.disagg('small', { policy: 'prefill_queue', maxLocalPrefillLength: 8 })).toMatchObject(
      {
        policy: 'prefill_queue',
        maxPrefillQueueSize: 2,
      },
    );
    expect(harness.decide({ blocks: [1, 2] }).prefill).toBeDefined();
    expect(harness.core.disagg('unknown', {})).toBeNull();
    expect(harness.core.metrics()).toContain('router_prefills_total{model="tiny",where="never"} 1');
    expect(harness.core.metrics()).toContain('router_prefills_total{model="tiny",where="remote"} 1');
  });

  test('keep prompts from a busy prefill worker, and count what is under way there', () => {
    const workers = { prefill: { a1: [] } };
    const harness = conditional({ policy: 'prefill_load', prefillBusyThreshold: 1e-6 }, workers);
    expect(harness.decide({ blocks: [1, 2, 3] }).prefill).toBeDefined();
    expect(harness.decide({ blocks: [4, 5, 6] }).prefill).toBeUndefined();
    const queued = conditional({ policy: 'prefill_queue', maxLocalPrefillLength: 1 }, workers);
    const handed = [1, 2, 3].map((block) => queued.decide({ blocks: [block, 9] }).prefill !== undefined);
    expect(handed).toEqual([true, true, false]);
  });

  test('count what waits in the prefill queue, where there is one', () => {
    let waiting = 1;
    const workers = { prefill: { a1: [] } };
    const settings = { policy: 'prefill_queue', maxLocalPrefillLength: 1 } as const;
    const harness = conditional(settings, workers, { prefillQueue: () => ({ waiting, tokens: 0 }) });
    const handed = () => harness.decide({ blocks: [1, 2, 3] }).prefill !== undefined;
    expect([handed(), handed(), handed()]).toEqual([true, true, true]);
    waiting = 2;
    expect(handed()).toBe(false);
  });
});

describe('where prefill workers take prompts from a queue', () => {
  const queued = (disagg: Partial<DisaggSettings>, tokens = () => 0) =>
    fleet(
      { prefill: { a1: [[1, 2]], a2: [] } },
      { disagg: { ...ALWAYS, ...disagg }, prefillQueue: () => ({ waiting: 0, tokens: tokens() }) },
    );

  test('none is named, and the prompt counts on none', () => {
    const { harness } = queued({});
    const decision = harness.decide({ blocks: [1, 2, 3] });
    expect(decision.worker).toMatch(/^d/);
    expect(decision.prefill).toMatchObject({ worker: '', grpcAddress: '', reservation: 0 });
    expect(harness.core.status().inFlight).toBe(1);
    for (const id of ['a1', 'a2']) {
      expect(harness.state(id)).toMatchObject({ activeRequests: 0, activePrefillTokens: 0 });
    }
    harness.core.release(decision.reservation);
    expect(harness.core.status().inFlight).toBe(0);
  });

  test('the prompt stays with the worker when nobody is there to take it', () => {
    const { harness, sockets } = queued({});
    for (const id of ['a1', 'a2']) sockets.get(id)!.hangUp(1006);
    expect(harness.decide({ blocks: [1, 2, 3] }).prefill).toBeUndefined();
  });

  test('they are busy by what the queue has in hand', () => {
    let tokens = 0;
    const { harness } = queued({ policy: 'prefill_load', prefillBusyThreshold: 1 }, () => tokens);
    const handed = () => harness.decide({ blocks: [1, 2, 3] }).prefill !== undefined;
    expect([handed(), handed()]).toEqual([true, true]);
    const batches = 2 * 10000000;
    tokens = batches;
    expect(handed()).toBe(true);
    tokens = batches + 1;
    expect(handed()).toBe(false);
  });

  test('one that is named is refused', () => {
    const { harness } = queued({});
    expect(harness.route({ blocks: [1, 2], prefillPinned: 'a1' })).toMatchObject({
      kind: 'refusal',
      code: 'invalid_request',
      param: 'prefillPinned',
    });
  });
});

describe('both reservations', () => {
  test("the prompt's ends when it is computed, the request's goes on", () => {
    const { harness, sockets } = fleet({ prefill: { a1: [] }, decode: { d1: [] } });
    const { reservation, prefill } = harness.decide({ blocks: [1, 2, 3] });
    sockets.get('a1')!.send(said(prefill!.reservation, Phase.ACCEPTED));
    sockets.get('a1')!.send(said(prefill!.reservation, Phase.FIRST_TOKEN, { ttftMs: 5 }));
    expect(harness.state('a1')).toMatchObject({ activeRequests: 1, activePrefillTokens: 0 });
    sockets.get('a1')!.send(endFrame(prefill!.reservation));
    expect(harness.state('a1').activeRequests).toBe(0);
    expect(harness.state('d1').activeRequests).toBe(1);
    sockets.get('d1')!.send(said(reservation, Phase.END, { outputTokens: 7 }));
    expect(harness.core.status().inFlight).toBe(0);
    expect(harness.core.metrics()).toContain('router_requests_total{model="tiny"} 1');
    expect(harness.core.metrics()).toContain('router_requests_ended_total{finish_reason=""} 1');
  });

  test("nobody reports on another worker's", () => {
    const { harness, sockets } = fleet({ prefill: { a1: [] }, decode: { d1: [] } });
    const { prefill, reservation } = harness.decide({ blocks: [1, 2, 3] });
    sockets.get('d1')!.send(endFrame(prefill!.reservation));
    sockets.get('a1')!.send(endFrame(reservation));
    expect(harness.core.status().inFlight).toBe(2);
  });

  test('are freed whatever becomes of the request, in whatever order', () => {
    const step = fc.constantFrom(
      'accept',
      'accept-prefill',
      'first-prefill',
      'end-prefill',
      'lose-prefill',
      'drop-prefill',
      'lose-decode',
      'wait',
    );
    const last = fc.constantFrom('release', 'end', 'drop-decode', 'again', 'forgotten');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), last, (steps, end) => {
        const { harness, sockets } = fleet({ prefill: { a1: [] }, decode: { d1: [], d2: [] } });
        const { reservation, worker, prefill } = harness.decide({ blocks: [1, 2, 3] });
        const [decoder, prefiller] = [sockets.get(worker)!, sockets.get('a1')!];
        const other = worker === 'd1' ? 'd2' : 'd1';
        const acts = {
          accept: () => decoder.send(said(reservation, Phase.ACCEPTED)),
          'accept-prefill': () => prefiller.send(said(prefill!.reservation, Phase.ACCEPTED)),
          'first-prefill': () => prefiller.send(said(prefill!.reservation, Phase.FIRST_TOKEN)),
          'end-prefill': () => prefiller.send(endFrame(prefill!.reservation)),
          'lose-prefill': () => prefiller.hangUp(1006),
          'drop-prefill': () => prefiller.hangUp(1000),
          'lose-decode': () => decoder.hangUp(1006),
          'drop-decode': () => decoder.hangUp(1000),
          wait: () => harness.clock.advance(100),
          release: () => harness.core.release(reservation),
          end: () => decoder.send(endFrame(reservation)),
          again: () => {
            const next = harness.decide({ blocks: [1, 2, 3], exclude: [worker], release: reservation });
            expect(next.worker).toBe(other);
            harness.core.release(next.reservation);
          },
          forgotten: () => {},
        };
        for (const name of steps) acts[name]();
        acts[end]();
        // What a lost worker cannot say any more ends with its lease or its time.
        for (let waitedMs = 0; waitedMs <= 3 * LIMITS.staleRequestMs; waitedMs += LIMITS.staleSweepMs) {
          harness.clock.advance(LIMITS.staleSweepMs);
          harness.core.sweep(harness.clock.nowMs());
        }
        expect(harness.core.status().inFlight).toBe(0);
        for (const { activeRequests, activePrefillTokens, activeBlocks } of harness.core.status().workers) {
          expect({ activeRequests, activePrefillTokens, activeBlocks }).toEqual({
            activeRequests: 0,
            activePrefillTokens: 0,
            activeBlocks: 0,
          });
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a released request frees both at once', () => {
    const { harness } = fleet();
    const { reservation } = harness.decide({ blocks: [1, 2, 3] });
    expect(harness.core.status().inFlight).toBe(2);
    harness.core.release(reservation);
    expect(harness.core.status().inFlight).toBe(0);
  });
});
