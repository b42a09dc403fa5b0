/** One request inside the mock engine's core: its blocks, how far it is computed, and whom to tell. */

import type { EngineRequest, EngineSink } from '../engine.ts';
import { type BlockHasher, TokenBlocks } from '../token-blocks.ts';
import { answerKey } from './answer.ts';

/** waiting → running (→ waiting again when preempted) → done. */
export type SequenceState = 'waiting' | 'running' | 'done';

export class MockSequence {
  readonly request: EngineRequest;
  readonly sink: EngineSink;
  readonly blocks: TokenBlocks;
  readonly answer: number;
  state: SequenceState = 'waiting';
  /** Tokens that exist: prompt, resumed, generated. */
  known: number;
  /** Of these, tokens whose KV exists (or will at the end of the current pass). */
  computed = 0;
  /** Leading blocks of the path that this sequence holds, and those of them that are stored. */
  heldBlocks = 0;
  storedBlocks = 0;
  /** Tokens of the response so far, resumed ones included. */
  generated: number;
  /** Prompt tokens found in the cache at the first admission; null before. */
  cachedTokens: number | null = null;
  /** `sink.started` was called. */
  started = false;
  /** Not yet past its last known token since it was admitted. */
  prefilling = true;

  constructor(
    request: EngineRequest,
    sink: EngineSink,
    shape: { blockSizeTokens: number; hasher: BlockHasher },
  ) {
    this.request = request;
    this.sink = sink;
    this.known = request.tokenIds.length;
    this.generated = this.known - request.promptTokens;
    const seed = request.sampling.temperature > 0 ? request.sampling.seed : null;
    this.answer = answerKey(request.tokenIds, request.promptTokens, seed);
    this.blocks = new TokenBlocks({
      tokens: request.tokenIds,
      promptTokens: request.promptTokens,
      blockHashes: request.blockHashes,
      hashSeed: request.hashSeed,
      ...shape,
    });
  }
}
