/**
 * The metrics of `durable/router/demand.ts`, read back from a Prometheus server that scrapes `/metrics` (HTTP API, instant
 * queries, https://prometheus.io/docs/prometheus/latest/querying/api/). One query brings all of them; series of several
 * platform processes are added up. Passes of engines are not published, so the load mode sees none.
 *
 * A reading is as old as the scrape that it is from. Were it of the time of the question, two questions between two scrapes would
 * measure a time without demand. Of several processes the oldest scrape counts.
 *
 * Any answer that is not whole throws and says what is missing: a scrape that failed for one of the series must not look like
 * a fleet without demand.
 */

import * as z from 'zod';
import { StatorError, toStatorError } from '../../runtime/errors.ts';
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

const REFUSAL = z.object({ status: z.literal('error'), error: z.string() });

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

export interface PrometheusOptions extends Pick<SourceParts, 'namespace'> {
  url: string;
  /** Of metric names. */
  prefix: string;
  fetch?: typeof fetch;
}

export function prometheusSource(options: PrometheusOptions): MetricsSource {
  const { url, prefix, namespace } = options;
  const base = url.replace(/\/$/, '');
  const query = queryOf(prefix, namespace);
  const ask = options.fetch ?? fetch;
  return {
    async read() {
      const signal = AbortSignal.timeout(LIMITS.plannerCallMs);
      const init = { headers: { accept: 'application/json' }, signal };
      const asked = (async () => ask(`${base}/api/v1/query?${new URLSearchParams({ query })}`, init))();
      const response = await asked.catch((cause: unknown) => {
        throw unreadable(`nothing answers at ${shownUrl(base)}: ${toStatorError(cause).message}`, cause);
      });
      if (!response.ok) {
        const why = await refusalOf(response);
        throw unreadable(`${shownUrl(base)} answers with ${response.status}${why}`);
      }
      return readingOf(await jsonOf(response), { prefix, namespace });
    },
  };
}

/**
 * Sums by name and bucket, and with `of="scrape"` the second of the oldest scrape. Where the scraper itself labels targets with a
 * `namespace` (Prometheus Operator does), ours is `exported_namespace`.
 */
function queryOf(prefix: string, namespace: string): string {
  const own = JSON.stringify(namespace);
  const both = (matcher: string, of = (selector: string) => selector): string =>
    [`exported_namespace=${own}`, `exported_namespace="",namespace=${own}`]
      .map((labels) => of(`{__name__${matcher},${labels}}`))
      .join(' or ');
  const all = both(`=~${JSON.stringify(`${prefix}_demand_.*`)}`);
  const times = both(
    `=${JSON.stringify(`${prefix}_${COUNTERS[0]}`)}`,
    (selector) => `timestamp(${selector})`,
  );
  // Labels of its own: `or` drops what has the same ones as something before it, and names do not count.
  return `sum by (__name__, le) (${all}) or label_replace(min(${times}), "of", "scrape", "", "")`;
}

/** Without what may be secret in it. */
function shownUrl(url: string): string {
  try {
    const { origin, pathname } = new URL(url);
    return origin + pathname.replace(/\/$/, '');
  } catch {
    return 'what is no URL';
  }
}

/** What Prometheus itself says of an error, if it is Prometheus. */
async function refusalOf(response: Response): Promise<string> {
  const parsed = REFUSAL.safeParse(await response.json().catch(() => null));
  return parsed.success ? `: ${parsed.data.error.slice(0, LIMITS.plannerWhyLength)}` : '';
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (cause) {
    throw unreadable('its answer is no JSON', cause);
  }
}

/** The answer of the query as a reading. Throws `internal` that says what is wrong. */
function readingOf(
  json: unknown,
  { prefix, namespace }: Pick<PrometheusOptions, 'prefix' | 'namespace'>,
): Metrics {
  const parsed = ANSWER.safeParse(json);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw unreadable(`${path.join('.')}: ${message}`);
  }
  const samples = parsed.data.data.result;
  const named = (name: string) => samples.filter(({ metric }) => metric['__name__'] === `${prefix}_${name}`);
  const one = (name: string): number => {
    const [sample] = named(name);
    if (sample === undefined) {
      throw unreadable(`it has no ${prefix}_${name} of namespace '${namespace}': is it scraped?`);
    }
    return Number(sample.value[1]);
  };
  const [requests, inputTokens, workerSeconds] = COUNTERS.map(one) as [number, number, number];
  const [computedTokens, ttft, outputTokens, itl] = HISTOGRAMS.map((name) =>
    histogramOf(name, named(`${name}_bucket`), one(`${name}_sum`)),
  ) as [Histogram, Histogram, Histogram, Histogram];
  const scraped = samples.find(({ metric }) => metric['of'] === 'scrape');
  if (scraped === undefined) throw unreadable('it does not say when it scraped');
  return {
    // By the clock of the Prometheus server.
    atMs: Math.round(1000 * Number(scraped.value[1])),
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
