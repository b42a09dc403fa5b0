/** A request of the mock engine: a sequence that knows its answer's key, or its answer. */

import type { EngineRequest, EngineSink } from '../engine.ts';
import { Sequence } from '../sequence.ts';
import { type BlockShape, TokenBlocks } from '../token-blocks.ts';
import { answerKey } from './answer.ts';
import type { Dictation } from './dictation.ts';

/** Any odd number: choices of one seed say different things. */
const CHOICE_STEP = 0x9e37_79b9_7f4a_7c15n;

export class MockSequence extends Sequence {
  readonly answer: number;
  readonly dictated: Uint32Array | null;

  constructor(
    request: EngineRequest,
    sink: EngineSink,
    { dictation, ...shape }: BlockShape & { dictation?: Dictation },
  ) {
    super(request, sink, new TokenBlocks(request, shape));
    const seed = request.sampling.temperature > 0 ? request.sampling.seed : null;
    const ofChoice = seed === null ? null : seed + BigInt(request.sampling.choice) * CHOICE_STEP;
    this.answer = answerKey(request.tokenIds, request.promptTokens, ofChoice);
    this.dictated = dictation?.(request.tokenIds.subarray(0, request.promptTokens)) ?? null;
  }
}
