/** The profile of the mock engine: tables made from its polynomial instead of measured ones. */

import type { GridProfile } from '../../../durable/runtime/profile/profile-tables.ts';
import {
  noWork,
  type PassWork,
  passMs,
  type TimingOptions,
} from '../../../gpu-sidecar/engines/mock/timing.ts';

export interface MockShape extends TimingOptions {
  blockSizeTokens: number;
  totalBlocks: number;
  contextLengthTokens: number;
  maxNumBatchedTokens: number;
}

const LENGTHS = 96;
const CONTEXTS = 24;
const USAGES = 100;

export function mockProfile(engine: MockShape): GridProfile {
  const maxKvTokens = engine.totalBlocks * engine.blockSizeTokens;
  const longest = Math.max(2, Math.min(engine.contextLengthTokens, 2 ** 18));
  const inputTokens = [...new Set(steps(LENGTHS, longest))];
  const ttftMs = inputTokens.map((tokens) => promptMs(tokens, engine));
  const contextTokens = [...new Set(steps(CONTEXTS, longest))];
  const kvUsage = Array.from({ length: USAGES }, (_, i) => i / (USAGES - 1));
  const itl = (usage: number) => stepMs(usage * maxKvTokens, engine);
  return {
    prefill: {
      inputTokens,
      ttftMs,
      tokensPerSecondPerGpu: inputTokens.map((tokens, i) => (1000 * tokens) / Math.max(ttftMs[i]!, 1e-6)),
    },
    decode: {
      maxKvTokens,
      kvUsage,
      contextTokens,
      itlMs: kvUsage.map((usage) => contextTokens.map(() => itl(usage))),
      tokensPerSecondPerGpu: kvUsage.map((usage) =>
        contextTokens.map((context) => (1000 * Math.max(1, (usage * maxKvTokens) / context)) / itl(usage)),
      ),
    },
  };
}

/** Whole numbers from 1 to `last`, each so many times the one before. */
const steps = (count: number, last: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.round(last ** (i / (count - 1))));

/** A prompt alone, in passes of at most so many tokens. */
function promptMs(tokens: number, engine: MockShape): number {
  const work: PassWork = noWork(engine.totalBlocks * engine.blockSizeTokens);
  let sumMs = 0;
  for (let left = tokens; left > 0; left -= engine.maxNumBatchedTokens) {
    work.prefills = 1;
    work.prefilledTokens = Math.min(left, engine.maxNumBatchedTokens);
    sumMs += passMs(work, engine);
  }
  return sumMs;
}

/** At least a little, also of an engine that takes no time. */
function stepMs(decodeContextTokens: number, engine: MockShape): number {
  const work = noWork(engine.totalBlocks * engine.blockSizeTokens);
  return Math.max(1e-6, passMs({ ...work, decodingRequests: 1, decodeContextTokens }, engine));
}
