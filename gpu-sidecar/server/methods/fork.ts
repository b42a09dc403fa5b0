/**
 * Several answers to one prompt: one sequence of the engine each, told as one. The first computes the prompt; the
 * others begin when that is done and find it in the cache, but for the block that it does not fill.
 *
 * The fold says whose token comes next (`response/choice-turns.ts`); tokens that come before their turn wait, at most
 * `maxTokens` of each choice.
 */

import { toStatorError } from '../../../durable/runtime/errors.ts';
import type { Engine, EngineRequest, EngineSink, FinishReason, TokenLogprobs } from '../../engines/engine.ts';
import { type ChoiceTurns, markerOf } from '../../response/choice-turns.ts';

interface Waiting {
  id: number;
  index: number;
  logprobs: TokenLogprobs | undefined;
}

export class Fork {
  readonly #engine: Engine;
  readonly #request: EngineRequest;
  readonly #turns: ChoiceTurns;
  readonly #sink: EngineSink;
  readonly #waiting: Waiting[][];
  readonly #running = new Map<number, { abort(): void }>();
  /** Nobody has begun. */
  #waitsForFirst = true;
  #over = false;

  /** `request`: of the prompt alone; what an earlier worker generated is in `turns`. */
  constructor(engine: Engine, request: EngineRequest, turns: ChoiceTurns, sink: EngineSink) {
    this.#engine = engine;
    this.#request = request;
    this.#turns = turns;
    this.#sink = sink;
    this.#waiting = Array.from({ length: Math.max(...turns.open) + 1 }, () => []);
  }

  /** Throws what the engine refuses the first sequence with. */
  start(): void {
    const unfinished: number[] = [];
    for (const choice of this.#turns.open) {
      const tokens = this.#turns.tokensOf(choice).length;
      if (tokens < this.#request.maxTokens) unfinished.push(choice);
      else this.#ended(choice, 'length');
    }
    const [first, ...others] = unfinished;
    if (first === undefined) this.#tell();
    else this.#submit(first, () => this.#submitAll(others));
  }

  abort(): void {
    this.#over = true;
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const { abort } of running) abort();
  }

  #submitAll(choices: readonly number[]): void {
    try {
      for (const choice of choices) if (!this.#over) this.#submit(choice, () => {});
    } catch (thrown) {
      this.#fail('error', toStatorError(thrown));
    }
  }

  #submit(choice: number, started: () => void): void {
    const { tokenIds, sampling } = this.#request;
    const known = this.#turns.tokensOf(choice);
    const all = new Uint32Array(tokenIds.length + known.length);
    all.set(tokenIds);
    all.set(known, tokenIds.length);
    const request = { ...this.#request, tokenIds: all, sampling: { ...sampling, choice } };
    const running = this.#engine.submit(request, {
      started: (cachedTokens) => {
        if (this.#over) return;
        // Once, by whom the prompt was computed.
        if (this.#waitsForFirst) {
          this.#waitsForFirst = false;
          this.#sink.started(cachedTokens);
        }
        started();
      },
      token: (id, index, logprobs) => {
        if (this.#over) return;
        this.#waiting[choice]!.push({ id, index, logprobs });
        this.#tell();
      },
      end: (reason, error) => {
        this.#running.delete(choice);
        if (this.#over || !this.#turns.open.includes(choice)) return;
        if (reason !== 'stop' && reason !== 'length') return this.#fail(reason, error);
        this.#ended(choice, reason);
        this.#tell();
      },
    });
    if (this.#over) running.abort();
    else this.#running.set(choice, { abort: () => running.abort() });
  }

  #ended(choice: number, reason: 'stop' | 'length'): void {
    this.#waiting[choice]!.push({ id: markerOf(reason), index: 0, logprobs: undefined });
  }

  /** All tokens whose turn it is. */
  #tell(): void {
    while (!this.#over) {
      const choice = this.#turns.turn;
      const next = this.#waiting[choice]?.shift();
      if (next === undefined) return;
      this.#sink.token(next.id, next.index, next.logprobs);
      // It may have ended at a stop string; the engine does not know.
      if (!this.#turns.open.includes(choice)) this.#stop(choice);
    }
  }

  #stop(choice: number): void {
    this.#waiting[choice] = [];
    const running = this.#running.get(choice);
    this.#running.delete(choice);
    running?.abort();
  }

  #fail(reason: FinishReason, error: Error | undefined): void {
    if (this.#over) return;
    this.abort();
    this.#sink.end(reason, error);
  }
}
