/**
 * Do the passes of a running engine move the load mode? A mock engine, the worker's outbox, frames as bytes, the router's core
 * and the Planner object, all in one virtual time.
 */

import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { EngineInfo } from '../../../gpu-sidecar/engines/engine.ts';
import { type EngineClock, MockEngine } from '../../../gpu-sidecar/engines/mock/engine.ts';
import { wasmBlockHasher } from '../../../gpu-sidecar/engines/wasm-hasher.ts';
import { Outbox } from '../../../gpu-sidecar/fleet/outbox.ts';
import { ProgressBook } from '../../../gpu-sidecar/fleet/progress.ts';
import { WorkerEvents } from '../../../gpu-sidecar/fleet/worker-events.ts';
import { record, request } from '../../contract/engine.harness.ts';
import { Harness } from '../router/core-harness.ts';
import { PlannerWorld } from './planner-world.ts';

/** On average 2,000 tokens. Prompts of one length alone tell no line: few samples of one size are kept. */
const PROMPT_TOKENS = [1_500, 1_750, 2_000, 2_250, 2_500] as const;
const ANSWER_TOKENS = 20;

function engineOn(clock: EngineClock): MockEngine {
  return new MockEngine({
    info: {} as EngineInfo,
    vocabulary: {
      size: 100_000,
      tokenBytes: () => new Uint8Array(0),
      isControl: () => false,
      controlText: () => '',
      isEndOfGeneration: () => false,
    },
    core: {
      speedup: 1,
      decodeSpeedup: 1,
      decodeMs: 0,
      blockSizeTokens: 4,
      totalBlocks: 40_000,
      maxNumSeqs: 64,
      maxNumBatchedTokens: 8_192,
      contextLengthTokens: 4_096,
      vocabularySize: 100_000,
      watermark: 0.01,
      prefixCaching: true,
      answerTokens: Uint32Array.of(1, 2, 3),
      eosEvery: 0,
      hasher: wasmBlockHasher,
    },
    clock,
  });
}

/** A worker that computes `perSecond` prompts, which come together, for a minute; what the planner said last. */
async function minute({ perSecond, ttftMs }: { perSecond: number; ttftMs: number }) {
  const harness = new Harness({}, { keepsPasses: true });
  const env = {
    STATOR_PLANNER: 'load',
    STATOR_PLANNER_PROFILE: '',
    STATOR_PLANNER_TTFT_MS: `${ttftMs}`,
    STATOR_PLANNER_INTERVAL_SECS: '10',
    STATOR_PLANNER_LOAD_INTERVAL_SECS: '5',
  };
  const seen: number[] = [];
  const world = new PlannerWorld(env, async () => {
    const told = harness.core.demand();
    seen.push(told.metrics.engines.worker![0]!.passes.length);
    return told;
  });
  const { host } = world;
  const engine = engineOn({
    nowMs: () => host.nowMs(),
    after: (delayMs, callback) => {
      let due = true;
      host.after(delayMs, () => due && callback());
      return () => {
        due = false;
      };
    },
  });
  const limits = { ring: LIMITS.eventRing, dumpBlocksPerFrame: LIMITS.dumpBlocksPerFrame };
  const events = new WorkerEvents({ ...limits, changed: () => {} });
  const outbox = new Outbox({
    events,
    progress: new ProgressBook(100, () => {}),
    load: () => engine.load(),
    passes: engine.passes,
    frameBytes: 1 << 20,
  });
  const socket = harness.worker('00000000000000a1');
  const [welcome] = socket.frames;
  if (welcome?.case !== 'welcome') throw new Error('not welcome');
  outbox.welcomed(welcome.value);
  await world.planner.status();
  for (let tick = 0, prompt = 0; tick < 600; tick++) {
    if (tick % 10 === 0) {
      for (let i = 0; i < perSecond; i++) {
        const length = PROMPT_TOKENS[++prompt % PROMPT_TOKENS.length]!;
        const { reservation } = harness.decide({ promptTokens: length });
        const ids = Array.from({ length }, (_, at) => (at + 7 * prompt) % 99_991);
        const recording = record();
        engine.submit(request(ids, { maxTokens: ANSWER_TOKENS }), recording);
        void recording.done.then(() => harness.core.release(reservation));
      }
    }
    await host.advance(100);
    harness.clock.advance(host.nowMs() - harness.clock.nowMs());
    for (const frame of outbox.frames()) socket.send(frame);
  }
  const { because } = await world.planner.status();
  return { order: await world.order(), because, seen };
}

test('an engine whose passes leave prompts waiting too long gets a second one beside it', async () => {
  const { order, seen } = await minute({ perSecond: 10, ttftMs: 150 });
  expect(order?.order.counts).toEqual({ worker: 2 });
  // Nobody looked at it before its first prompt.
  expect(Math.min(...seen.slice(1))).toBeGreaterThan(5);
});

test('the same passes are fast enough for a milder target', async () => {
  const { order, because } = await minute({ perSecond: 10, ttftMs: 5_000 });
  expect(order).toBeNull();
  expect(because.join()).toContain('worker: stay');
});

test('a little work on the same engine is no reason for a second', async () => {
  const { order, because } = await minute({ perSecond: 1, ttftMs: 150 });
  expect(order).toBeNull();
  expect(because.join()).toContain('worker: stay');
});
