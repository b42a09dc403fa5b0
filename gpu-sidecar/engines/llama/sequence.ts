/** A request of the llama engine: its tokens, its place in the KV cache and what its sampler must know. */

import type { EngineRequest, EngineSink, Vocabulary } from '../engine.ts';
import { Sequence } from '../sequence.ts';
import { type BlockShape, TokenBlocks } from '../token-blocks.ts';
import { type TokenCounts, usesCounts } from './sampler.ts';

export class LlamaSequence extends Sequence {
  /** llama.cpp's sequence id while running. */
  id = -1;
  /** Tokens of this sequence in the current batch. */
  scheduled = 0;
  /** Its row of logits in the current batch; -1 = none. */
  row = -1;
  /** Whether lower tiers were looked at for its prompt; `asked`: those that workers share. */
  lookUp: 'new' | 'asking' | 'asked' | 'done' = 'new';
  #tokens: Uint32Array;
  #counts: { output: Map<number, number>; seen: Set<number> } | null;

  constructor(request: EngineRequest, sink: EngineSink, shape: BlockShape) {
    super(request, sink, new TokenBlocks(request, shape));
    this.#tokens = request.tokenIds;
    this.#counts = usesCounts(request.sampling)
      ? { output: new Map(), seen: new Set(request.tokenIds) }
      : null;
    for (const id of request.tokenIds.subarray(request.promptTokens)) this.#count(id);
  }

  get counts(): TokenCounts | null {
    return this.#counts;
  }

  tokenAt(position: number): number {
    return this.#tokens[position]!;
  }

  /** Notes a generated token, before it is told. */
  push(id: number): void {
    if (this.known >= this.#tokens.length) {
      const wider = new Uint32Array(this.known + Math.max(64, this.known >> 1));
      wider.set(this.#tokens);
      this.#tokens = wider;
    }
    this.#tokens[this.known] = id;
    this.#count(id);
  }

  /** Ids that may not come now: ends of generation and stop tokens while they would be wrong. */
  forbidden(endIds: readonly number[]): readonly number[] {
    const { ignoreEos, minTokens, stopTokenIds } = this.request;
    if (this.generated < minTokens) return [...endIds, ...stopTokenIds];
    return ignoreEos ? endIds : [];
  }

  /** Whether a token ends the response instead of being part of it. */
  endsWith(id: number, vocabulary: Vocabulary): boolean {
    return vocabulary.isEndOfGeneration(id) || this.request.stopTokenIds.includes(id);
  }

  #count(id: number): void {
    if (this.#counts === null) return;
    this.#counts.output.set(id, (this.#counts.output.get(id) ?? 0) + 1);
    this.#counts.seen.add(id);
  }
}
