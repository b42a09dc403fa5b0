/** A request of the mock engine: a sequence that knows its answer's key. */

import type { EngineRequest, EngineSink } from '../engine.ts';
import { Sequence } from '../sequence.ts';
import { type BlockShape, TokenBlocks } from '../token-blocks.ts';
import { answerKey } from './answer.ts';

export class MockSequence extends Sequence {
  readonly answer: number;

  constructor(request: EngineRequest, sink: EngineSink, shape: BlockShape) {
    super(request, sink, new TokenBlocks(request, shape));
    const seed = request.sampling.temperature > 0 ? request.sampling.seed : null;
    this.answer = answerKey(request.tokenIds, request.promptTokens, seed);
  }
}
