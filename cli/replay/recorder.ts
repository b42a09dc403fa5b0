/** What happened to every request of a replay, by its place in the trace, and between any two tokens. */

import type { RequestListener } from './pool.ts';
import { Histogram } from './statistics.ts';

export class Recorder {
  readonly firstTokenMs: Float64Array;
  readonly endMs: Float64Array;
  /** Prompt tokens found cached when the request was first admitted to compute its prompt. */
  readonly cachedTokens: Float64Array;
  readonly outputTokens: Float64Array;
  /** 1: no worker can hold it, or the router refused it. */
  readonly rejected: Uint8Array;
  readonly interTokenMs = new Histogram();

  constructor(requests: number) {
    this.firstTokenMs = new Float64Array(requests);
    this.endMs = new Float64Array(requests);
    this.cachedTokens = new Float64Array(requests);
    this.outputTokens = new Float64Array(requests);
    this.rejected = new Uint8Array(requests);
  }

  /** Requests that were neither answered nor rejected. */
  get unanswered(): number {
    return this.outputTokens.reduce(
      (count, tokens, at) => count + (tokens + this.rejected[at]! === 0 ? 1 : 0),
      0,
    );
  }

  /** Writes down what becomes of a request. */
  listener(request: number): RequestListener {
    return {
      started: (cachedTokens) => {
        this.cachedTokens[request] = cachedTokens;
      },
      firstToken: (nowMs) => {
        this.firstTokenMs[request] = nowMs;
      },
      ended: (nowMs, outputTokens) => {
        this.endMs[request] = nowMs;
        this.outputTokens[request] = outputTokens;
      },
      rejected: () => {
        this.rejected[request] = 1;
      },
    };
  }
}
