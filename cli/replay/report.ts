/** What a replay comes to, in the shape that `stator replay --json` prints. Times are milliseconds of virtual time. */

import type { Recorder } from './recorder.ts';
import type { SimWorker } from './sim-worker.ts';
import { type Distribution, distributionOf } from './statistics.ts';
import type { Trace } from './trace.ts';

export interface Report {
  requests: number;
  rejected: number;
  ttft_ms: Distribution;
  itl_ms: Distribution;
  e2e_ms: Distribution;
  /** Prompt blocks found cached, of all prompt blocks; a last block that is not full counts as its part. */
  reuse: number;
  output_tokens_per_s: number;
  duration_ms: number;
  workers: { requests: number; busy: number }[];
}

export function reportOf(
  { trace, speedup }: { trace: Trace; speedup: number },
  recorder: Recorder,
  workers: readonly SimWorker[],
): Report {
  const served = trace.requests.map((_, at) => at).filter((at) => recorder.rejected[at] === 0);
  const arrivalMs = (at: number) => trace.requests[at]!.atMs / speedup;
  const ttft = Float64Array.from(served, (at) => recorder.firstTokenMs[at]! - arrivalMs(at));
  const e2e = Float64Array.from(served, (at) => recorder.endMs[at]! - arrivalMs(at));
  let durationMs = 0;
  let outputTokens = 0;
  let promptTokens = 0;
  let cachedTokens = 0;
  let decodingMs = 0;
  for (const at of served) {
    durationMs = Math.max(durationMs, recorder.endMs[at]!);
    outputTokens += recorder.outputTokens[at]!;
    promptTokens += trace.requests[at]!.inputTokens;
    cachedTokens += recorder.cachedTokens[at]!;
    decodingMs += recorder.endMs[at]! - recorder.firstTokenMs[at]!;
  }
  const { interTokenMs } = recorder;
  return {
    requests: served.length,
    rejected: trace.requests.length - served.length,
    ttft_ms: distributionOf(ttft),
    itl_ms: {
      mean: share(decodingMs, interTokenMs.count),
      p50: interTokenMs.percentile(0.5),
      p90: interTokenMs.percentile(0.9),
      p99: interTokenMs.percentile(0.99),
    },
    e2e_ms: distributionOf(e2e),
    reuse: share(cachedTokens, promptTokens),
    output_tokens_per_s: share(outputTokens, durationMs / 1000),
    duration_ms: durationMs,
    workers: workers.map(({ requests, busyMs }) => ({ requests, busy: share(busyMs, durationMs) })),
  };
}

const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
