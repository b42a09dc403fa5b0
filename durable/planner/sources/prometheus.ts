/**
 * The metrics of `durable/router/demand.ts`, read back from a Prometheus server that scrapes `/metrics` (HTTP API, instant
 * queries, https://prometheus.io/docs/prometheus/latest/querying/api/). One query brings all of them; series of several
 * platform processes are added up. Passes of engines are not published, so the load mode sees none.
 *
 * Any answer that is not whole throws and says what is missing: a scrape that failed for one of the series must not look like
 * a fleet without demand.
 */

import * as z from 'zod';
import { StatorError } from '../../runtime/errors.ts';
import { LIMITS } from '../../runtime/limits.ts';
import type { Histogram } from '../histogram.ts';
import type { Metrics } from '../metrics.ts';
import type { MetricsSource, SourceParts } from './source.ts';

const SAMPLE = z.object({
  metric: z.record(z.string(), z.string()),
  value: z.tuple([z.number(), z.string()]),
});
const ANSWER = z.object({
  status: z.literal('success'),
  data: z.object({
    resultType: z.literal('vector'),
    result: z.array(SAMPLE).max(LIMITS.plannerHistogramBounds * 8),
  }),
});

type Sample = z.infer<typeof SAMPLE>;

const COUNTERS = [
  'demand_requests_total',
  'demand_input_tokens_total',
  'demand_worker_seconds_total',
] as const;
const HISTOGRAMS = [
  'demand_computed_tokens',
  'demand_time_to_first_token_seconds',
  'demand_output_tokens',
  'demand_inter_token_latency_seconds',
] as const;

export interface PrometheusOptions extends Pick<SourceParts, 'namespace' | 'host'> {
  url: string;
  /** Of metric names. */
  prefix: string;
  fetch?: typeof fetch;
}

export function prometheusSource(options: PrometheusOptions): MetricsSource {
  const { url, prefix, namespace, host } = options;
  const name = `${prefix}_demand_.*`;
  const selector = `{__name__=~${JSON.stringify(name)},namespace=${JSON.stringify(namespace)}}`;
  const query = `sum by (__name__, le) (${selector})`;
  const ask = options.fetch ?? fetch;
  return {
    async read() {
      const address = `${url.replace(/\/$/, '')}/api/v1/query?${new URLSearchParams({ query })}`;
      const signal = AbortSignal.timeout(LIMITS.plannerCallMs);
      const response = await ask(address, { headers: { accept: 'application/json' }, signal });
      if (!response.ok) {
        await response.body?.cancel();
        throw unreadable(`it answers with ${response.status}`);
      }
      return readingOf(await jsonOf(response), { prefix, nowMs: host.nowMs() });
    },
  };
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (cause) {
    throw unreadable('its answer is no JSON', cause);
  }
}

/** The answer of the query as a reading. Throws `internal` that says what is wrong. */
function readingOf(json: unknown, { prefix, nowMs }: { prefix: string; nowMs: number }): Metrics {
  const parsed = ANSWER.safeParse(json);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw unreadable(`${path.join('.')}: ${message}`);
  }
  const samples = parsed.data.data.result;
  const named = (name: string) => samples.filter(({ metric }) => metric['__name__'] === `${prefix}_${name}`);
  const one = (name: string): number => {
    const [sample] = named(name);
    if (sample === undefined) throw unreadable(`it has no ${prefix}_${name}`);
    return Number(sample.value[1]);
  };
  const [requests, inputTokens, workerSeconds] = COUNTERS.map(one) as [number, number, number];
  const [computedTokens, ttft, outputTokens, itl] = HISTOGRAMS.map((name) =>
    histogramOf(name, named(`${name}_bucket`), one(`${name}_sum`)),
  ) as [Histogram, Histogram, Histogram, Histogram];
  return {
    // The time of evaluation, by the server's clock.
    atMs: 1000 * (samples[0]?.value[0] ?? nowMs / 1000),
    arrived: requests,
    inputTokens,
    workerMs: 1000 * workerSeconds,
    waiting: one('demand_waiting_requests'),
    inFlight: one('demand_inflight_requests'),
    computedTokens,
    ttftMs: inMs(ttft),
    outputTokens,
    itlMs: inMs(itl),
    engines: {},
  };
}

/** Cumulative buckets, in any order, taken apart. */
function histogramOf(name: string, buckets: readonly Sample[], sum: number): Histogram {
  const parts = buckets
    .map(({ metric, value }) => ({
      le: Number(metric['le'] === '+Inf' ? Infinity : metric['le']),
      seen: Number(value[1]),
    }))
    .sort((a, b) => a.le - b.le);
  if (parts.at(-1)?.le !== Number.POSITIVE_INFINITY) throw unreadable(`${name} has no bucket +Inf`);
  return {
    bounds: parts.slice(0, -1).map(({ le }) => le),
    counts: parts.map(({ seen }, at) => seen - (parts[at - 1]?.seen ?? 0)),
    sum,
  };
}

const inMs = ({ bounds, counts, sum }: Histogram): Histogram => ({
  bounds: bounds.map((bound) => 1000 * bound),
  counts,
  sum: 1000 * sum,
});

const unreadable = (why: string, cause?: unknown) =>
  new StatorError('internal', `the Prometheus server cannot be read: ${why}`, { cause });
