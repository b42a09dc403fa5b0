/** Does the router grant what requests wish, say why when it cannot, and change nothing for a query? */

import { describe, expect, test } from 'vitest';
import type { RouteRequest } from '../../../durable/router/rpc.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Phase } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { WorkerType } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { Harness } from './core-harness.ts';
import { batchFrame } from './fleet-worker.ts';

const A = '00000000000000a1';
const B = '00000000000000b2';

const runtime = (more: Record<string, unknown>) => ({
  totalKvBlocks: 100,
  maxNumBatchedTokens: 100,
  dataParallelSize: 1,
  kvEventPublishingEnabled: true,
  engine: 'mock',
  ...more,
});

const refusalOf = (harness: Harness, request: Partial<RouteRequest> & { blocks?: number[] }) => {
  const answer = harness.route(request);
  if (answer.kind !== 'refusal') throw new Error('it was granted');
  return answer;
};

describe('candidates', () => {
  test('are the allowed ones', () => {
    const harness = new Harness();
    harness.worker(A, {}, [[1, 2]]);
    harness.worker(B);
    expect(harness.decide({ blocks: [1, 2], allowedWorkerIds: [B] }).worker).toBe(B);
    expect(refusalOf(harness, { allowedWorkerIds: ['c'] })).toMatchObject({
      code: 'no_workers',
      param: 'allowedWorkerIds',
    });
  });

  test('have every required taint, and a preferred one costs less', () => {
    const harness = new Harness();
    harness.worker(A, { runtime: runtime({ taints: ['gpu=h200', 'zone=a'] }) });
    harness.worker(B, { runtime: runtime({ taints: ['gpu=h200', 'zone=b'] }) });
    expect(harness.decide({ requiredTaints: ['gpu=h200', 'zone=b'] }).worker).toBe(B);
    const missing = refusalOf(harness, { requiredTaints: ['gpu=b200'] });
    expect(missing).toMatchObject({ param: 'requiredTaints', message: expect.stringContaining('gpu=b200') });
    const drawn = harness.decide({ blocks: [1, 2], preferredTaints: { 'zone=b': 2 }, explain: true });
    expect(drawn.worker).toBe(B);
    const [best, other] = drawn.candidates!;
    expect(best!.preference).toBeCloseTo(Math.exp(-Math.tanh(2)), 12);
    expect(other!.preference).toBe(1);
    expect(harness.decide({ blocks: [5], preferredTaints: { 'zone=b': -2 } }).worker).toBe(A);
  });

  test('have the LoRA adapter', () => {
    const harness = new Harness();
    harness.worker(A, {}, [[1, 2]]);
    harness.worker(B, { runtime: runtime({ loras: ['poet'] }) });
    expect(harness.decide({ blocks: [1, 2], lora: 'poet' }).worker).toBe(B);
    expect(refusalOf(harness, { lora: 'lawyer' })).toMatchObject({ param: 'lora' });
    expect(refusalOf(harness, { lora: 'poet', pinned: A })).toMatchObject({ param: 'lora' });
  });

  test('of one data parallel rank, when it is named', () => {
    const harness = new Harness();
    harness.worker(A, { runtime: runtime({ dataParallelSize: 2 }) });
    expect(harness.decide({ pinned: A, dpRank: 1 }).dpRank).toBe(1);
    expect(refusalOf(harness, { pinned: A, dpRank: 2 })).toMatchObject({
      code: 'invalid_request',
      param: 'dpRank',
    });
  });

  test('are prefill workers for prefill, and none of them for anything else', () => {
    const harness = new Harness();
    harness.worker(A, { workerType: WorkerType.PREFILL }, [[1, 2]]);
    harness.worker(B, { workerType: WorkerType.DECODE });
    const prefill = harness.decide({ blocks: [1, 2, 3], role: 'prefill' });
    expect(prefill).toMatchObject({ worker: A, overlapBlocks: 2 });
    expect(harness.state(A)).toMatchObject({ activePrefillTokens: 5, activeBlocks: 0 });
    expect(harness.decide({ blocks: [1, 2, 3], role: 'decode' }).worker).toBe(B);
    expect(harness.state(B)).toMatchObject({ activePrefillTokens: 0, activeBlocks: 3 });
    expect(refusalOf(harness, { pinned: A })).toMatchObject({ code: 'worker_unavailable', param: 'pinned' });
  });
});

describe('overload', () => {
  test('takes busy workers out, and refuses when all are, differently when one was pinned', () => {
    const busy = { activeDecodeBlocks: null, activePrefillTokens: 8, activePrefillTokensFrac: null };
    const harness = new Harness({ busy, mode: 'round-robin' });
    harness.worker(A);
    harness.worker(B);
    expect(harness.decide({ blocks: [1, 2, 3], pinned: A }).worker).toBe(A);
    for (let i = 0; i < 2; i++) expect(harness.decide({ pinned: B }).worker).toBe(B);
    expect(harness.decide().worker).toBe(B);
    expect(refusalOf(harness, { pinned: A })).toMatchObject({
      code: 'overloaded',
      message: expect.stringContaining(A),
    });
    harness.decide({ blocks: [7, 8] });
    expect(refusalOf(harness, {}).message).toContain('all workers');
  });

  test('judges KV blocks by the larger of what is counted and what is told', () => {
    const busy = { activeDecodeBlocks: 0.5, activePrefillTokens: null, activePrefillTokensFrac: null };
    const harness = new Harness({ busy });
    const socket = harness.worker(A);
    socket.send(batchFrame({ load: { kvUsedBlocks: 50 } }));
    harness.decide();
    socket.send(batchFrame({ load: { kvUsedBlocks: 51 } }));
    expect(refusalOf(harness, {}).code).toBe('overloaded');
    socket.send(batchFrame({ load: { kvUsedBlocks: 0 } }));
    harness.decide();
  });

  test('of a worker is that of all of its ranks', () => {
    const busy = { activeDecodeBlocks: null, activePrefillTokens: 3, activePrefillTokensFrac: null };
    const harness = new Harness({ busy });
    harness.worker(A, { runtime: runtime({ dataParallelSize: 2 }) });
    harness.decide({ blocks: [1], pinned: A, dpRank: 0 });
    harness.decide({ blocks: [1], pinned: A, dpRank: 1 });
    expect(refusalOf(harness, {}).code).toBe('overloaded');
  });

  test('is changed for one model, the fields given and no others', () => {
    const harness = new Harness();
    harness.worker(A);
    const off = { activeDecodeBlocks: null, activePrefillTokens: null, activePrefillTokensFrac: null };
    expect(harness.core.busyThresholds('tiny', {})).toEqual(off);
    harness.core.busyThresholds('small', { activePrefillTokensFrac: 0.01 });
    expect(harness.core.busyThresholds('tiny', {})).toEqual({ ...off, activePrefillTokensFrac: 0.01 });
    harness.core.busyThresholds('tiny', { activePrefillTokens: 0 });
    harness.decide();
    expect(refusalOf(harness, {}).code).toBe('overloaded');
    harness.core.busyThresholds('tiny', off);
    harness.decide();
    expect(harness.core.busyThresholds('nobody', {})).toBeNull();
  });
});

describe('a session', () => {
  const session = { id: 's', final: false };

  test('stays where it was, whatever that costs, until its time is over or it ends', () => {
    const harness = new Harness({ affinityTtlMs: 5_000 });
    harness.worker(A);
    harness.worker(B, {}, [[1, 2, 3, 4]]);
    harness.decide({ pinned: A, session });
    expect(harness.decide({ blocks: [1, 2, 3, 4], session }).worker).toBe(A);
    expect(harness.decide({ blocks: [1, 2, 3, 4] }).worker).toBe(B);
    harness.clock.advance(4_000);
    expect(harness.decide({ blocks: [1, 2, 3, 4], session: { id: 's', final: true } }).worker).toBe(A);
    expect(harness.decide({ blocks: [1, 2, 3, 4], session }).worker).toBe(B);
    harness.clock.advance(5_000);
    harness.decide({ pinned: A, session });
    harness.clock.advance(5_001);
    expect(harness.decide({ blocks: [1, 2, 3, 4], session }).worker).toBe(B);
  });

  test('moves when its worker may not serve it', () => {
    const harness = new Harness({ affinityTtlMs: 5_000 });
    harness.worker(A);
    harness.worker(B);
    harness.decide({ pinned: A, session });
    expect(harness.decide({ exclude: [A], session }).worker).toBe(B);
    expect(harness.decide({ session }).worker).toBe(B);
  });

  test('is nothing where affinity is off', () => {
    const harness = new Harness();
    harness.worker(A);
    harness.worker(B, {}, [[1, 2]]);
    harness.decide({ pinned: A, session });
    expect(harness.decide({ blocks: [1, 2], session }).worker).toBe(B);
  });
});

describe('overrides of one request', () => {
  test('weigh anew', () => {
    const harness = new Harness();
    harness.worker(A, {}, [[1, 2]]);
    harness.worker(B);
    harness.decide({ blocks: [8, 9, 10], pinned: A });
    expect(harness.decide({ blocks: [1, 2, 3], queryOnly: true }).worker).toBe(B);
    const eager = { overlapScoreCredit: 9 };
    expect(harness.decide({ blocks: [1, 2, 3], queryOnly: true, override: eager }).worker).toBe(A);
    const blind = { overlapScoreCredit: 9, overlapScoreWeight: 0 };
    expect(harness.decide({ blocks: [1, 2, 3], queryOnly: true, override: blind }).worker).toBe(B);
  });

  test('count as they say: no prefill, no sharing', () => {
    const harness = new Harness();
    harness.worker(A);
    harness.decide({ blocks: [1, 2], override: { trackPrefillTokens: false } });
    expect(harness.state(A).activePrefillTokens).toBe(0);
    harness.decide({ blocks: [1, 2] });
    expect(harness.state(A).activeBlocks).toBe(2);
    harness.decide({ blocks: [1, 2], override: { assumeKvReuse: false } });
    expect(harness.state(A).activeBlocks).toBe(4);
  });

  test('of temperature spread what would all go to one', () => {
    let turn = 0;
    const harness = new Harness({ random: () => (turn++ % 10) / 10 });
    harness.worker(A, {}, [[1, 2, 3]]);
    harness.worker(B);
    const ask = (temperature: number) =>
      new Set(
        Array.from({ length: 10 }, () => {
          const request = { blocks: [1, 2, 3], queryOnly: true, override: { temperature } };
          return harness.decide(request).worker;
        }),
      );
    expect([...ask(0)]).toEqual([A]);
    expect(ask(10).size).toBe(2);
  });
});

test('a query reserves nothing, and its table has every candidate, the cheapest first', () => {
  const harness = new Harness();
  harness.worker(A);
  harness.worker(B, {}, [[1, 2]]);
  const answer = harness.decide({ blocks: [1, 2, 3], queryOnly: true, explain: true });
  expect(answer).toMatchObject({ worker: B, reservation: 0, overlapBlocks: 2, cachedTokens: 8 });
  expect(answer.candidates?.map(({ worker }) => worker)).toEqual([B, A]);
  expect(harness.core.status().inFlight).toBe(0);
  expect(harness.core.metrics()).not.toContain('router_requests_total{');
});

describe('without KV events', () => {
  const approximate = { policy: 'ttl' as const, ttlMs: 1_000, maxTreeSize: 1_000, pruneTargetRatio: 0.8 };

  test('what was sent somewhere counts as cached there for its time; what workers tell does not', () => {
    const harness = new Harness({ useKvEvents: false, approximate });
    harness.worker(A, {}, [[5, 6]]);
    harness.worker(B);
    expect(harness.connect().kinds).toEqual([]);
    const { reservation } = harness.decide({ blocks: [1, 2], pinned: B });
    harness.core.release(reservation);
    expect(harness.decide({ blocks: [1, 2, 3], queryOnly: true })).toMatchObject({
      worker: B,
      overlapBlocks: 2,
    });
    expect(harness.decide({ blocks: [5, 6], queryOnly: true }).overlapBlocks).toBe(0);
    harness.clock.advance(1_101);
    expect(harness.decide({ blocks: [1, 2, 3], queryOnly: true }).overlapBlocks).toBe(0);
  });
});

test('with events and prediction the longer of both counts', () => {
  const harness = new Harness({ predictedTtlMs: 1_000 });
  harness.worker(A, {}, [[1, 2, 3]]);
  const { reservation } = harness.decide({ blocks: [7, 8] });
  harness.core.release(reservation);
  expect(harness.decide({ blocks: [7, 8, 9], queryOnly: true }).overlapBlocks).toBe(2);
  expect(harness.decide({ blocks: [1, 2, 3], queryOnly: true }).overlapBlocks).toBe(3);
  harness.clock.advance(1_101);
  expect(harness.decide({ blocks: [7, 8, 9], queryOnly: true }).overlapBlocks).toBe(0);
});

test('with a prefill model the load shrinks by what the worker should have computed', () => {
  const harness = new Harness({ prefillLoadModel: 'measured' });
  const socket = harness.worker(A);
  for (let i = 0; i < 10; i++) {
    const { reservation } = harness.decide({ blocks: [100 + i, 200 + i] });
    socket.send(batchFrame({ progress: [{ reservation, phase: Phase.FIRST_TOKEN, ttftMs: 90 }] }));
    harness.core.release(reservation);
  }
  harness.decide({ blocks: [1, 2] });
  const load = () => harness.decide({ queryOnly: true, explain: true }).candidates?.[0]?.prefillTokens;
  expect(load()).toBe(9);
  harness.clock.advance(51);
  expect(load()).toBe(4);
  harness.clock.advance(LIMITS.reservationMs / 2);
  expect(load()).toBe(0);
});

test('output fades towards the end that was expected, with what nobody shares of the prompt', () => {
  const harness = new Harness({ trackOutputBlocks: true });
  const socket = harness.worker(A);
  const { reservation } = harness.decide({ blocks: [1, 2, 3], expectedOutputTokens: 16 });
  harness.decide({ blocks: [1, 9] });
  const grown = (outputTokens: number) => {
    socket.send(batchFrame({ progress: [{ reservation, phase: Phase.GROWTH, outputTokens }] }));
    const [row] = harness.decide({ queryOnly: true, explain: true }).candidates!;
    return row!.decodeBlocks;
  };
  // 4 prompt blocks by path, of which 1 is shared; then one of output: 3 of its own, half gone.
  expect(grown(8)).toBe(Math.round(4 + 1 - 1.5));
  expect(grown(16)).toBe(4 + 3 - 5);
  harness.core.release(reservation);
  expect(harness.decide({ queryOnly: true, explain: true }).candidates![0]!.decodeBlocks).toBe(2);
});
