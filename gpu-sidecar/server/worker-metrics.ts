/** What a worker counts, by names behind the prefix (semantics §11). Times are in seconds, as Prometheus has them. */

import type { Metrics } from '../../durable/runtime/metrics.ts';

export interface WorkerMetrics {
  /** Prometheus text. */
  text(): string;
  request(end: RequestEnd): void;
  /** A lost stream that could not be continued exactly. */
  diverged(): void;
  /** A reader that stalled until the response buffer was full. */
  overrun(): void;
}

export interface RequestEnd {
  /** `ok`, or an error code. */
  outcome: string;
  promptTokens: number;
  cachedTokens: number;
  outputTokens: number;
  /** Milliseconds to the first token; null when there was none. */
  ttftMs: number | null;
  totalMs: number;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

export function workerMetrics(metrics: Metrics): WorkerMetrics {
  const requests = metrics.counter('worker_requests_total', 'Requests that ended, by outcome.', ['outcome']);
  const ok = requests.labels('ok');
  const prompt = metrics.counter('worker_input_tokens_total', 'Prompt tokens of ended requests.').labels();
  const cached = metrics.counter('worker_cached_tokens_total', 'Prompt tokens found in the cache.').labels();
  const output = metrics.counter('worker_output_tokens_total', 'Tokens generated.').labels();
  const diverged = metrics
    .counter('worker_resume_diverged_total', 'Continued streams whose bytes did not repeat.')
    .labels();
  const overrun = metrics
    .counter('worker_stalled_readers_total', 'Requests ended because their reader stalled.')
    .labels();
  const ttft = metrics
    .histogram('worker_time_to_first_token_seconds', 'From acceptance to the first token.', SECONDS)
    .labels();
  const total = metrics
    .histogram('worker_request_duration_seconds', 'From acceptance to the end.', SECONDS)
    .labels();
  return {
    text: () => metrics.text(),
    diverged: () => diverged.add(),
    overrun: () => overrun.add(),
    request(end) {
      (end.outcome === 'ok' ? ok : requests.labels(end.outcome)).add();
      prompt.add(end.promptTokens);
      cached.add(end.cachedTokens);
      output.add(end.outputTokens);
      if (end.ttftMs !== null) ttft.observe(end.ttftMs / 1000);
      total.observe(end.totalMs / 1000);
    },
  };
}
