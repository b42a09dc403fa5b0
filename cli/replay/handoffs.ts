/**
 * Prompts on their way from the prefill pool to the decode pool: routed again when they are computed, sent when the chosen
 * worker has room, given up by the first worker when they are there.
 */

import type { Pool, RequestListener, SimRequest } from './pool.ts';

interface Computed {
  request: SimRequest;
  listener: RequestListener;
  /** Lets the prefill worker forget it. */
  done: (nowMs: number) => void;
}

interface Transfer {
  dueMs: number;
  arrive: (nowMs: number) => void;
}

export class Handoffs {
  readonly #decode: Pool;
  readonly #msPerToken: number;
  #computed: Computed[] = [];
  /** By time of arrival. */
  readonly #transfers: Transfer[] = [];

  constructor(decode: Pool, msPerToken: number) {
    this.#decode = decode;
    this.#msPerToken = msPerToken;
  }

  /** When the next prompt arrives. */
  get dueMs(): number {
    return this.#transfers[0]?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** How the prefill pool serves a request: its prompt and one token, which is made again where the answer is. */
  prefill(request: SimRequest, listener: RequestListener): [SimRequest, RequestListener] {
    return [
      { ...request, maxTokens: 1 },
      {
        started: listener.started,
        firstToken() {},
        ended: (_nowMs, _outputTokens, done) => this.#computed.push({ request, listener, done }),
        rejected: listener.rejected,
      },
    ];
  }

  /** Prompts that are due arrive, and those just computed are routed; true when there were any of these. */
  advance(nowMs: number): boolean {
    while (this.dueMs <= nowMs) this.#transfers.shift()!.arrive(nowMs);
    const computed = this.#computed;
    this.#computed = [];
    for (const each of computed) this.#handOff(each, nowMs);
    return computed.length > 0;
  }

  #handOff({ request, listener, done }: Computed, nowMs: number): void {
    const decoding = { ...listener, started() {} };
    this.#decode.expect(request, decoding, nowMs, (reservedMs, activate) => {
      const arrive = (arrivedMs: number) => {
        activate(arrivedMs);
        done(arrivedMs);
      };
      const delayMs = request.traced.inputTokens * this.#msPerToken;
      if (delayMs === 0) arrive(reservedMs);
      else this.#send({ dueMs: reservedMs + delayMs, arrive });
    });
  }

  #send(transfer: Transfer): void {
    let at = this.#transfers.length;
    while (at > 0 && this.#transfers[at - 1]!.dueMs > transfer.dueMs) at--;
    this.#transfers.splice(at, 0, transfer);
  }
}
