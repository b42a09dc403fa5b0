/** How the mock engine is started: its options, their defaults (semantics §10) and its model. */

import * as z from 'zod';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { BUILT_IN_MODEL_PATH } from '../../models/built-in.ts';
import { readProfile } from '../../profile-files/profile-file.ts';
import { TokenMasks } from '../constraint/token-masks.ts';
import type { EngineKind, EngineOptions, Vocabulary } from '../engine.ts';
import { parseExtra } from '../extra-options.ts';
import { wasmBlockHasher } from '../wasm-hasher.ts';
import { dictationOf } from './dictation.ts';
import { MockEmbedder } from './embedder.ts';
import { MockEngine, realClock } from './engine.ts';
import { readMockModel } from './model.ts';
import { obedientTokens } from './obedience.ts';
import { TimingTable } from './timing-table.ts';

const count = z.coerce.number().int().min(1);
const amount = z.coerce.number().min(0);

/** `extra` of the mock engine. */
const EXTRA = z.object({
  totalBlocks: count.default(16_384),
  maxNumSeqs: count.default(256),
  maxNumBatchedTokens: count.default(8_192),
  watermark: amount.max(0.5).default(0.01),
  decodeSpeedup: count.default(1),
  /** Fixed milliseconds of a decode step, whatever the speedup; 0 = the polynomial. */
  decodeMs: amount.default(0),
  /** A profile (`gpu-sidecar/profile-files/profile-file.ts`) whose times it takes; empty: the polynomial. */
  timing: z.string().default(''),
  /** One token in so many ends a response; 0 = only max_tokens does. */
  eosEvery: z.coerce.number().int().min(0).default(0),
  /** Answers are what the prompt has last between « and ». */
  dictation: z.stringbool().default(false),
});

const DEFAULT_CONTEXT_TOKENS = 131_072;
const MOST_ANSWER_TOKENS = 4_096;

export const mockKind: EngineKind = {
  name: 'mock',
  summary: 'simulates a GPU engine: real batching, cache and timing, meaningless text',
  async start(options) {
    const extra = parseExtra(options.extra, { engine: 'mock', schema: EXTRA });
    const { blockSizeTokens } = options;
    const contextLengthTokens = contextOf(options, extra.totalBlocks);
    const { card, artifacts, tokens } = await readMockModel({
      path: options.modelPath || BUILT_IN_MODEL_PATH,
      name: options.modelName ?? 'mock',
      contextLengthTokens,
      blockSizeTokens,
    });
    const { dictation, timing, ...shape } = extra;
    const { totalBlocks, maxNumSeqs, maxNumBatchedTokens } = shape;
    return new MockEngine({
      info: {
        engine: 'mock',
        card,
        artifacts,
        blockSizeTokens,
        totalBlocks,
        maxNumSeqs,
        maxNumBatchedTokens,
        contextLengthTokens,
        deterministic: true,
      },
      vocabulary: tokens,
      grammars: new TokenMasks(tokens),
      core: {
        ...shape,
        ...(timing === '' ? {} : { table: new TimingTable(readProfile(timing)) }),
        ...(dictation ? { dictation: dictationOf(tokens) } : {}),
        blockSizeTokens,
        contextLengthTokens,
        speedup: options.speedup,
        vocabularySize: tokens.size,
        prefixCaching: true,
        answerTokens: printableTokens(tokens),
        obedient: obedientTokens(tokens),
        hasher: wasmBlockHasher,
      },
      clock: realClock,
      embedder: new MockEmbedder({
        maxTokens: Math.min(contextLengthTokens, LIMITS.embeddingTokens),
        speedup: options.speedup,
        clock: realClock,
      }),
    });
  },
};

type Sizes = Pick<EngineOptions, 'blockSizeTokens' | 'contextLengthTokens'>;

const contextOf = ({ blockSizeTokens, contextLengthTokens }: Sizes, totalBlocks: number): number =>
  Math.min(contextLengthTokens ?? DEFAULT_CONTEXT_TOKENS, totalBlocks * blockSizeTokens);

/** Of an engine whose `extra` says nothing, for whoever must know it without starting one. */
export function mockShape(sizes: Sizes) {
  const { totalBlocks, maxNumBatchedTokens, decodeSpeedup } = EXTRA.parse({});
  const { blockSizeTokens } = sizes;
  const contextLengthTokens = contextOf(sizes, totalBlocks);
  return { blockSizeTokens, contextLengthTokens, totalBlocks, maxNumBatchedTokens, decodeSpeedup };
}

/** The first ordinary tokens that are visible ASCII or spaces: what answers are made of. */
function printableTokens(vocabulary: Vocabulary): Uint32Array {
  const ids: number[] = [];
  for (let id = 0; id < vocabulary.size && ids.length < MOST_ANSWER_TOKENS; id++) {
    const bytes = vocabulary.tokenBytes(id);
    const visible = bytes.length > 0 && bytes.every((byte) => byte >= 0x20 && byte <= 0x7e);
    if (visible && !vocabulary.isControl(id) && !vocabulary.isEndOfGeneration(id)) ids.push(id);
  }
  return Uint32Array.from(ids);
}
