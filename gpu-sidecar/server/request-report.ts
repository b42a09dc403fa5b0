/**
 * What becomes of one request, told to the router (progress) and to the metrics. At most one growth report per KV
 * block, because that is all that the router's load changes by.
 */

import type { FinishReason } from '../engines/engine.ts';
import type { RequestProgress } from '../fleet/progress.ts';
import type { ParsedGenerate } from './generate-request.ts';
import type { Worker } from './worker.ts';

export class RequestReport {
  readonly #worker: Worker;
  readonly #request: ParsedGenerate;
  readonly #acceptedMs: number;
  readonly #blockTokens: number;
  #accepted = false;
  #ttftMs: number | null = null;
  #cachedTokens = 0;
  #outputTokens = 0;

  constructor(worker: Worker, request: ParsedGenerate) {
    this.#worker = worker;
    this.#request = request;
    this.#acceptedMs = worker.clock.nowMs();
    this.#blockTokens = worker.engine.info.blockSizeTokens;
  }

  accepted(): void {
    this.#accepted = true;
    this.#tell('accepted');
  }

  started(cachedTokens: number): void {
    this.#cachedTokens = cachedTokens;
  }

  /** `outputTokens`: those of the response so far. */
  token(outputTokens: number): void {
    this.#outputTokens = outputTokens;
    if (this.#ttftMs === null) {
      this.#ttftMs = this.#worker.clock.nowMs() - this.#acceptedMs;
      this.#tell('first-token');
    } else if (
      (this.#request.engine.promptTokens + outputTokens) % this.#blockTokens ===
      1 % this.#blockTokens
    ) {
      this.#tell('growth');
    }
  }

  /** Once. `outcome`: `ok` or an error code, for the metrics. A refusal was never accepted, so it has no progress. */
  ended(reason: FinishReason, outcome: string): void {
    const totalMs = this.#worker.clock.nowMs() - this.#acceptedMs;
    if (this.#accepted) this.#tell('end', { reason, totalMs });
    this.#worker.metrics.request({
      outcome,
      promptTokens: this.#request.engine.promptTokens,
      cachedTokens: this.#cachedTokens,
      outputTokens: this.#outputTokens,
      ttftMs: this.#ttftMs,
      totalMs,
    });
  }

  #tell(phase: RequestProgress['phase'], end?: { reason: FinishReason; totalMs: number }): void {
    if (this.#request.reservation === 0) return;
    this.#worker.progress.report({
      reservation: this.#request.reservation,
      routerBoot: this.#request.routerBoot,
      phase,
      outputTokens: this.#outputTokens,
      cachedTokens: this.#cachedTokens,
      ttftMs: this.#ttftMs ?? 0,
      totalMs: end?.totalMs ?? 0,
      finishReason: end?.reason ?? '',
    });
  }
}
