/**
 * The planner's demand by way of a real Prometheus that scrapes a real platform: what the source reads is what was asked and
 * what the router counts, a planner measures each request once, and one that cannot read says why and keeps its fleet.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { inlinePlannerProfile } from '../../cli/planner-profile-file.ts';
import type { Histogram } from '../../durable/planner/histogram.ts';
import type { Metrics } from '../../durable/planner/metrics.ts';
import { type Observation, observe } from '../../durable/planner/observe.ts';
import { prometheusSource } from '../../durable/planner/sources/prometheus.ts';
import { resolveSettings, type Settings } from '../../durable/runtime/config.ts';
import { deploy, eventually, idle, plan } from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';
import { PrometheusServer } from './prometheus-server.ts';

const API_KEY = 'sk-stator-prometheus';
const REQUESTS = 12;
const INTERVAL_MS = 1_000;

let prometheus: PrometheusServer;
let deployment: Deployment;
/** What the answers said themselves. */
const asked = { requests: 0, inputTokens: 0, computedTokens: 0, outputTokens: 0 };

const planning = (plannerPrometheusUrl: string): Partial<Settings> => {
  const known = inlinePlannerProfile({ ...resolveSettings([]), planner: 'sla', engine: 'mock' });
  return {
    engine: 'mock',
    modelName: 'mock',
    engineSpeedup: 10,
    apiKey: API_KEY,
    planner: 'sla',
    plannerConnector: 'virtual',
    plannerProfile: known.plannerProfile,
    plannerMetrics: 'prometheus',
    plannerPrometheusUrl,
    plannerIntervalSecs: INTERVAL_MS / 1_000,
    plannerMin: 1,
    plannerMax: 1,
  };
};

beforeAll(async () => {
  prometheus = await PrometheusServer.create();
  deployment = await deploy({ workers: 1, ...planning(prometheus.url) });
  await prometheus.scrape(deployment.url, API_KEY);
}, 480_000);

afterAll(() => prometheus?.close());

async function ask(): Promise<void> {
  const content = `${asked.requests} ${'what is there to be asked '.repeat(1 + (asked.requests % 9) * 12)}`;
  const response = await chat(
    deployment.url,
    { model: 'mock', messages: [{ role: 'user', content }], max_tokens: 2 + (asked.requests % 5) * 7 },
    { headers: { authorization: `Bearer ${API_KEY}` } },
  );
  expect(response.status).toBe(200);
  const { usage } = (await response.json()) as {
    usage: {
      prompt_tokens: number;
      completion_tokens: number;
      prompt_tokens_details: { cached_tokens: number };
    };
  };
  asked.requests++;
  asked.inputTokens += usage.prompt_tokens;
  asked.computedTokens += usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens;
  asked.outputTokens += usage.completion_tokens;
}

async function askMany(): Promise<void> {
  for (let sent = 0; sent < REQUESTS; sent++) await ask();
  await idle(deployment);
}

const sourceAt = (url: string) => {
  const source = prometheusSource({ url, prefix: 'stator', namespace: 'default' });
  const nobody = new Promise<Metrics>(() => {});
  return { read: () => source.read(nobody) as Promise<Metrics> };
};

/** A reading of a scrape after the last request. */
const caughtUp = (url: string): Promise<Metrics> => {
  let seen: unknown = null;
  return eventually(
    'a scrape of all requests',
    async () => {
      const reading = await sourceAt(url)
        .read()
        .catch((error: Error) => error);
      seen = reading;
      if (reading instanceof Error || reading.arrived < asked.requests) return null;
      return reading.inFlight === 0 && reading.waiting === 0 ? reading : null;
    },
    20_000,
    () => String(seen),
  );
};

/** What the router itself says it counted, by the names of its text. */
async function routerCounts() {
  const headers = { authorization: `Bearer ${API_KEY}` };
  const text = await (await fetch(`${deployment.url}/metrics`, { headers })).text();
  const lines = text.split('\n').filter((line) => line.startsWith('stator_demand_'));
  const of = (name: string) =>
    lines
      .filter((line) => line.startsWith(`stator_demand_${name}{`))
      .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
  const histogram = (name: string) => ({ buckets: of(`${name}_bucket`), sum: of(`${name}_sum`)[0]! });
  return { one: (name: string) => of(name)[0], histogram };
}

const cumulative = ({ counts }: Histogram): number[] => {
  let seen = 0;
  return counts.map((count) => {
    seen += count;
    return seen;
  });
};

/** The planner's own words. */
async function planner<T>(of: Deployment, path = ''): Promise<T> {
  const headers = { authorization: `Bearer ${API_KEY}` };
  const response = await fetch(`${of.url}/planner/v1/default${path}`, { headers });
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

interface Shown {
  id: number;
  observation: Observation | null;
  counts: { worker: number };
}

const decisions = async (after = 0): Promise<Shown[]> =>
  (await planner<{ decisions: Shown[] }>(deployment, `/decisions?limit=200&after=${after}`)).decisions;

const problem = async (of: Deployment) => (await planner<{ problem: string | null }>(of)).problem;

/** The planner's newest decision measured something. */
const measuring = () =>
  eventually('the planner to measure', async () => {
    const newest = (await decisions()).at(-1);
    return newest?.observation?.kind === 'measured' ? newest : null;
  });

/** All that was measured after a decision, added up, once it is so many requests. */
const measuredAfter = (after: number, requests: number) => {
  let seen: unknown = null;
  return eventually(
    'the planner to measure all requests',
    async () => {
      const observations = (await decisions(after)).map(({ observation }) => observation);
      const total = { requests: 0, inputTokens: 0 };
      for (const observation of observations) {
        if (observation?.kind !== 'measured') continue;
        total.requests += observation.requests;
        total.inputTokens += observation.requests * observation.meanInputTokens;
      }
      seen = observations.map((one) => one && (one.kind === 'held' ? one.why : one.requests));
      return total.requests >= requests ? total : null;
    },
    20_000,
    () => seen,
  );
};

describe('the source', () => {
  it('reads what the clients asked and what the router counted, bucket for bucket', async () => {
    await askMany();
    const reading = await caughtUp(prometheus.url);
    const router = await routerCounts();
    expect(reading.arrived).toBe(asked.requests);
    expect(reading.inputTokens).toBe(asked.inputTokens);
    expect(reading.outputTokens.sum).toBe(asked.outputTokens);
    expect(reading.computedTokens.sum).toBe(asked.computedTokens);
    expect(router.one('requests_total')).toBe(asked.requests);
    expect(router.one('input_tokens_total')).toBe(asked.inputTokens);
    const pairs: [Histogram, string, number][] = [
      [reading.computedTokens, 'computed_tokens', 1],
      [reading.ttftMs, 'time_to_first_token_seconds', 1_000],
      [reading.outputTokens, 'output_tokens', 1],
      [reading.itlMs, 'inter_token_latency_seconds', 1_000],
    ];
    for (const [histogram, name, unit] of pairs) {
      const own = router.histogram(name);
      expect(cumulative(histogram), name).toEqual(own.buckets);
      expect(own.buckets.at(-1), name).toBe(asked.requests);
      expect(histogram.sum).toBeCloseTo(own.sum * unit);
      expect(histogram.sum).toBeGreaterThan(0);
    }
    const { observation } = observe(null, reading, INTERVAL_MS);
    expect(observation).toEqual({ kind: 'held', why: 'first' });
  });

  it('takes two questions within one scrape for one, and not for a time without demand', async () => {
    const { read } = sourceAt(prometheus.url);
    const [first, second] = await eventually('two questions within one scrape', async () => {
      const two = [await read(), await read()] as const;
      return two[0].workerMs === two[1].workerMs ? two : null;
    });
    expect(observe(first, second, INTERVAL_MS).observation).toEqual({ kind: 'held', why: 'late' });
    const third = await eventually('the next scrape', async () => {
      const reading = await read();
      return reading.atMs > first.atMs ? reading : null;
    });
    const { observation } = observe(first, third, INTERVAL_MS);
    expect(observation).toMatchObject({ kind: 'measured', requests: 0 });
    expect((observation as { meanWorkers: number }).meanWorkers).toBeCloseTo(1, 0);
  });

  it('finds its namespace where the scraper has labels of that name itself', async () => {
    const other = await PrometheusServer.create();
    try {
      await other.scrape(deployment.url, API_KEY, { namespace: 'monitored' });
      const reading = await caughtUp(other.url);
      expect(reading.arrived).toBe(asked.requests);
      expect(reading.outputTokens.sum).toBe(asked.outputTokens);
    } finally {
      await other.close();
    }
  });

  it('says why it cannot read', async () => {
    const foreign = prometheusSource({ url: prometheus.url, prefix: 'stator', namespace: 'elsewhere' });
    const nobody = new Promise<Metrics>(() => {});
    await expect(foreign.read(nobody)).rejects.toThrow(
      "it has no stator_demand_requests_total of namespace 'elsewhere'",
    );
    const wrong = `${prometheus.url}/graph`;
    await expect(sourceAt(wrong).read()).rejects.toThrow(`${wrong} answers with 404`);
  });
});

describe('a planner', () => {
  it('measures each request once', async () => {
    const { id } = await measuring();
    const before = { ...asked };
    await askMany();
    const measured = await measuredAfter(id, REQUESTS);
    expect(measured.requests).toBe(REQUESTS);
    expect(measured.inputTokens).toBeCloseTo(asked.inputTokens - before.inputTokens);
    expect(await problem(deployment)).toBe(null);
  });

  it('keeps its fleet while Prometheus is gone, says so, and measures again when it is back', async () => {
    const before = (await measuring()).id;
    await prometheus.kill();
    const why = await eventually('the planner to miss it', () => problem(deployment));
    expect(why).toContain(
      `metrics: the Prometheus server cannot be read: nothing answers at ${prometheus.url}`,
    );
    const held = await eventually('a look without a reading', async () => {
      const newest = (await decisions(before)).at(-1);
      return newest?.observation?.kind === 'held' && newest.observation.why === 'missing' ? newest : null;
    });
    expect(held.counts).toEqual({ worker: 1 });
    await prometheus.up();
    const { id } = await eventually('the planner to measure again', async () => {
      const newest = (await decisions(held.id)).at(-1);
      return newest?.observation?.kind === 'measured' ? newest : null;
    });
    expect(await problem(deployment)).toBe(null);
    await askMany();
    expect((await measuredAfter(id, REQUESTS)).requests).toBe(REQUESTS);
    const kinds = (await decisions(before)).map(({ counts }) => counts.worker);
    expect(new Set(kinds)).toEqual(new Set([1]));
  });

  it('with a name that nobody has says so', async () => {
    const lost = await plan({ workers: 0, ...planning('http://prometheus.invalid:9090') });
    await lost.startPlatform();
    const why = await eventually('the planner to say why', () => problem(lost));
    expect(why).toContain('nothing answers at http://prometheus.invalid:9090');
  });
});
