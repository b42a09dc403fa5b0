/** Is what a Prometheus server says read as the router counted it, and is every bad answer refused with its reason? */

import { describe, expect, it } from 'vitest';
import { observe } from '../../../../durable/planner/observe.ts';
import { prometheusSource } from '../../../../durable/planner/sources/prometheus.ts';
import { DemandMeter } from '../../../../durable/router/demand.ts';
import { Workers } from '../../../../durable/router/workers.ts';
import { testPolicy } from '../../router/core-harness.ts';
import { naiveIndexes } from '../../router/naive-indexes.ts';

const NOW_S = 1_000;

/** What Prometheus would answer after a scrape of this text. */
function answerTo(text: string): { status: string; data: { resultType: string; result: unknown[] } } {
  const result = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)!;
      const le = /le="([^"]+)"/.exec(labels)?.[1];
      return { metric: { __name__: name!, ...(le === undefined ? {} : { le }) }, value: [NOW_S + 1, value] };
    });
  const scraped = { metric: { of: 'scrape' }, value: [NOW_S + 1, String(NOW_S)] };
  return { status: 'success', data: { resultType: 'vector', result: [...result, scraped] } };
}

const workers = () => new Workers(naiveIndexes, testPolicy());

function meter(): DemandMeter {
  const demand = new DemandMeter({ prefix: 'stator', namespace: 'default', passes: false });
  for (const tokens of [100, 4_000]) {
    demand.arrived(tokens);
    demand.firstToken(tokens / 10, tokens - 64);
    demand.answered(50, 490);
  }
  return demand;
}

const at = { nowMs: 1000 * NOW_S, waiting: 3, inFlight: 5 };

function source(body: unknown, status = 200) {
  const asked: URL[] = [];
  const fetch = async (address: string | URL | Request) => {
    asked.push(new URL(String(address)));
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
  };
  const options = { url: 'http://user:secret@prometheus:9090/', prefix: 'stator', namespace: 'default' };
  const made = prometheusSource({ ...options, fetch: fetch as typeof globalThis.fetch });
  return { read: () => made.read(Promise.reject(new Error('not asked')).catch(() => null) as never), asked };
}

describe('a Prometheus server', () => {
  it('says what the router would say itself, and it is sound', async () => {
    const demand = meter();
    const { read, asked } = source(answerTo(demand.text(workers(), at)));
    const reading = (await read()) as ReturnType<DemandMeter['read']>;
    const own = demand.read(workers(), at);
    expect({ ...reading, ttftMs: null, itlMs: null }).toEqual({ ...own, ttftMs: null, itlMs: null });
    expect(reading.ttftMs.counts).toEqual(own.ttftMs.counts);
    expect(reading.ttftMs.sum).toBeCloseTo(own.ttftMs.sum);
    expect(observe(null, reading, 1).observation).toEqual({ kind: 'held', why: 'first' });
    expect(asked[0]!.pathname).toBe('/api/v1/query');
    expect(asked[0]!.searchParams.get('query')).toContain('namespace="default"');
  });

  it.each([
    ['an error', 'no', 503, /http:\/\/prometheus:9090 answers with 503$/],
    ['an error with its reason', { status: 'error', error: 'bad query' }, 400, 'with 400: bad query'],
    ['a page', '<html>', 200, 'no JSON'],
    ['a refusal', { status: 'error', error: 'bad query' }, 200, 'status'],
    [
      'another type of result',
      { status: 'success', data: { resultType: 'matrix', result: [] } },
      200,
      'resultType',
    ],
    ['nothing scraped', answerTo(''), 200, "it has no stator_demand_requests_total of namespace 'default'"],
  ] as const)('that gives %s is refused, and says why', async (_name, body, status, why) => {
    await expect(source(body, status).read()).rejects.toThrow(why);
  });

  it('that is not there, or is no address at all, is refused without its password', async () => {
    const at = (url: string) =>
      prometheusSource({
        url,
        prefix: 'stator',
        namespace: 'default',
        fetch: () => Promise.reject(new Error('gone')),
      });
    const read = (url: string) =>
      at(url).read(Promise.reject(new Error('not asked')).catch(() => null) as never);
    await expect(read('http://user:secret@nowhere:9090/prom/')).rejects.toThrow(
      /nothing answers at http:\/\/nowhere:9090\/prom: gone$/,
    );
    await expect(read('nowhere')).rejects.toThrow('nothing answers at what is no URL');
  });

  it('that lost part of a scrape is refused: half a histogram is no demand of zero', async () => {
    const text = meter().text(workers(), at);
    const cut = text
      .split('\n')
      .filter((line) => !(line.includes('demand_output_tokens') && line.includes('+Inf')));
    await expect(source(answerTo(cut.join('\n'))).read()).rejects.toThrow(
      'demand_output_tokens has no bucket +Inf',
    );
    const untimed = answerTo(text);
    untimed.data.result.pop();
    await expect(source(untimed).read()).rejects.toThrow('does not say when it scraped');
    const without = text.split('\n').filter((line) => !line.includes('demand_waiting_requests'));
    await expect(source(answerTo(without.join('\n'))).read()).rejects.toThrow(
      'stator_demand_waiting_requests',
    );
  });
});
