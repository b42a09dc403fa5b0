/**
 * What becomes of one request, told to the router (progress) and to the metrics. At most one growth report per KV
 * block, because that is all that the router's load changes by.
 */

import type { FinishReason } from '../engines/engine.ts';
import type { RequestProgress } from '../fleet/progress.ts';
import type { ParsedGenerate } from './generate-request.ts';
import type { Worker } from './worker.ts';

/** What a report needs to know of a request. */
type Reported = Pick<ParsedGenerate, 'reservation' | 'routerBoot'> & {
  engine: Pick<ParsedGenerate['engine'], 'promptTokens'>;
};

export class RequestReport {
  readonly #worker: Worker;
  readonly #promptTokens: number;
  readonly #acceptedMs: number;
  readonly #blockTokens: number;
  readonly #progress: RequestProgress;
  #accepted = false;
  #firstToken = false;

  constructor(worker: Worker, request: Reported) {
    this.#worker = worker;
    this.#promptTokens = request.engine.promptTokens;
    this.#acceptedMs = worker.clock.nowMs();
    this.#blockTokens = worker.engine.info.blockSizeTokens;
    this.#progress = {
      reservation: request.reservation,
      routerBoot: request.routerBoot,
      phase: 'accepted',
      outputTokens: 0,
      cachedTokens: 0,
      ttftMs: 0,
      totalMs: 0,
      finishReason: '',
      waiting: false,
    };
  }

  /** Once or more. */
  accepted(): void {
    if (this.#accepted) return;
    this.#accepted = true;
    this.#tell('accepted');
  }

  started(cachedTokens: number): void {
    this.#progress.cachedTokens = cachedTokens;
  }

  /** `outputTokens`: those of the response so far. */
  token(outputTokens: number): void {
    this.#progress.outputTokens = outputTokens;
    if (!this.#firstToken) {
      this.#firstToken = true;
      this.#progress.ttftMs = this.#elapsedMs();
      this.#tell('first-token');
    } else if ((this.#promptTokens + outputTokens) % this.#blockTokens === 1 % this.#blockTokens) {
      this.#tell('growth');
    }
  }

  /** Once. `outcome`: `ok` or an error code, for the metrics. A refusal was never accepted, so it has no progress. */
  ended(reason: FinishReason, outcome: string): void {
    const { cachedTokens, outputTokens, ttftMs } = this.#progress;
    const totalMs = this.#elapsedMs();
    if (this.#accepted) {
      this.#progress.finishReason = reason;
      this.#progress.totalMs = totalMs;
      this.#tell('end');
    }
    this.#worker.metrics.request({
      outcome,
      promptTokens: this.#promptTokens,
      cachedTokens,
      outputTokens,
      ttftMs: this.#firstToken ? ttftMs : null,
      totalMs,
    });
  }

  #elapsedMs(): number {
    return this.#worker.clock.nowMs() - this.#acceptedMs;
  }

  #tell(phase: RequestProgress['phase']): void {
    if (this.#progress.reservation === 0) return;
    this.#progress.phase = phase;
    this.#worker.progress.report(this.#progress);
  }
}
