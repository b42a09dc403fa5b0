/**
 * The mock engine without time: a simulated GPU (`pass-core.ts`) whose tokens are a pure function of the request
 * (`answer.ts`). The real-time engine is a thin shell around it.
 */

import { toStatorError } from '../../../durable/runtime/errors.ts';
import type { EngineLoad, EngineRequest, EngineSink } from '../engine.ts';
import type { BlockHasher } from '../token-blocks.ts';
import { answerWord } from './answer.ts';
import type { Dictation } from './dictation.ts';
import { mockLogprobs } from './logprobs.ts';
import { type ObedientTokens, obedientId } from './obedience.ts';
import { PassCore, type PassCoreOptions } from './pass-core.ts';
import { MockSequence } from './sequence.ts';
import type { PassWork } from './timing.ts';

export interface MockCoreOptions extends Omit<PassCoreOptions, 'role'> {
  /** Tokens that the answers are made of. */
  answerTokens: Uint32Array;
  /** One token in so many ends the response; 0 = only max_tokens does. */
  eosEvery: number;
  hasher: BlockHasher;
  /** Absent: no prompt dictates its answer. */
  dictation?: Dictation;
  /** Absent: no request comes with a grammar. */
  obedient?: ObedientTokens;
}

export class MockCore {
  #options: MockCoreOptions;
  #passes: PassCore<MockSequence>;

  constructor(options: MockCoreOptions) {
    this.#options = options;
    this.#passes = new PassCore({ ...options, role: 'aggregated' }, (sequence) =>
      sequence.constraint === null ? this.#answer(sequence) : this.#obey(sequence),
    );
  }

  get idle(): boolean {
    return this.#passes.idle;
  }

  /** What the pass under way computes; overwritten by the next. */
  get work(): Readonly<PassWork> {
    return this.#passes.work;
  }

  /** Prompt tokens that are not in the pass under way. */
  get queuedTokens(): number {
    return this.#passes.queuedTokens;
  }

  load(): EngineLoad {
    return this.#passes.load();
  }

  /** Queues a request. Throws `overloaded`, `context_length_exceeded` or `invalid_request`. */
  submit(request: EngineRequest, sink: EngineSink): MockSequence {
    this.#passes.check(request);
    const sequence = new MockSequence(request, sink, this.#options);
    this.#passes.enqueue(sequence);
    return sequence;
  }

  abort(sequence: MockSequence): void {
    this.#passes.abort(sequence);
  }

  abortAll(): void {
    this.#passes.abortAll();
  }

  /** Drops cached blocks that no request holds. */
  clear(): number {
    return this.#passes.clear();
  }

  /** Plans a pass that starts at `nowMs` and returns when it ends, or null when there is nothing to do. */
  pass(nowMs: number): number | null {
    return this.#passes.pass(nowMs);
  }

  /** The planned pass is over: publishes its KV events and gives every finished prefill and decode its token. */
  finish(): void {
    this.#passes.finish();
  }

  #answer(sequence: MockSequence): void {
    const index = sequence.generated;
    const word = answerWord(sequence.answer, index);
    const { answerTokens } = this.#options;
    const { dictated, request } = sequence;
    const id = dictated?.[index] ?? answerTokens[word % answerTokens.length]!;
    const isSaid = dictated !== null && index >= dictated.length && !request.ignoreEos;
    if (isSaid || this.#isLast(request, { index, word, id })) this.#passes.end(sequence, 'stop');
    else this.#passes.append(sequence, id, mockLogprobs(sequence, { word, id }, answerTokens));
  }

  /** A constraint that fails ends one response, not the pass. */
  #obey(sequence: MockSequence): void {
    const word = answerWord(sequence.answer, sequence.generated);
    const { answerTokens, obedient } = this.#options;
    const own = sequence.dictated?.[sequence.generated] ?? answerTokens[word % answerTokens.length]!;
    try {
      const allowed = sequence.constraint!.allowed();
      const id = obedientId(allowed, obedient ?? { ends: [], closing: [] }, { own, word });
      if (id === null) this.#passes.end(sequence, 'stop');
      else this.#passes.append(sequence, id, mockLogprobs(sequence, { word, id }, answerTokens));
    } catch (thrown) {
      if (sequence.state === 'running') this.#passes.end(sequence, 'error', toStatorError(thrown));
    }
  }

  #isLast(request: EngineRequest, token: { index: number; word: number; id: number }): boolean {
    if (token.index < request.minTokens) return false;
    const { eosEvery } = this.#options;
    if (eosEvery > 0 && !request.ignoreEos && (token.word >>> 8) % eosEvery === 0) return true;
    return request.stopTokenIds.length > 0 && request.stopTokenIds.includes(token.id);
  }
}
