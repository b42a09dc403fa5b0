/** One request inside an engine that schedules its own batches: its blocks, how far it is computed, whom to tell. */

import type { ConstrainedAnswer } from './constraint/constraint.ts';
import type { EngineRequest, EngineSink } from './engine.ts';
import type { GrowingBlocks } from './token-blocks.ts';

/** waiting → running (→ waiting again when preempted) → done. */
export type SequenceState = 'waiting' | 'running' | 'done';

export class Sequence {
  readonly request: EngineRequest;
  readonly sink: EngineSink;
  readonly blocks: GrowingBlocks;
  /** null: any token may come. */
  readonly constraint: ConstrainedAnswer | null;
  state: SequenceState = 'waiting';
  /** Tokens that exist: prompt, resumed, generated. */
  known: number;
  /** Of these, tokens whose KV exists, or will at the end of the current pass. */
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
  /** Place in the queue of a request whose blocks come from elsewhere. */
  order = 0;
  /** Its blocks outlive it, until `release`: another worker copies them. */
  keepsBlocks = false;

  constructor(request: EngineRequest, sink: EngineSink, blocks: GrowingBlocks) {
    this.request = request;
    this.sink = sink;
    this.blocks = blocks;
    this.known = request.tokenIds.length;
    this.generated = this.known - request.promptTokens;
    this.constraint = request.constraint?.begin(request.tokenIds.subarray(request.promptTokens)) ?? null;
  }
}
