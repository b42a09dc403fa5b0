/**
 * Fairness end to end: two ingress addresses with skewed load, one Router object behind them. Classes with quanta 4:1 get
 * service 4:1 while both are backlogged; then limits, deadlines, clients that leave, and a policy that changes under way.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { freePort } from '../../cli/launch/ports.ts';
import { deploy, eventually, idle, metric, sidecarOf, statusOf } from '../harness/deployment.ts';

const FAMILIES = ['gold', 'bronze'] as const;
type Family = (typeof FAMILIES)[number];

const classOf = (family: string, quantum: number, more = {}) => ({
  name: `${family}-any`,
  policy_family: family,
  cache_bucket: 'any',
  quantum,
  prefill_busy_threshold: 0,
  ...more,
});

const policyOf = (classes: object[]) => ({
  default_policy_family: 'bronze',
  uncached_isl_buckets: [{ min_tokens: 0, bucket: 'any' }],
  policy_classes: classes,
});

const FOUR_TO_ONE = policyOf([classOf('gold', 400), classOf('bronze', 100)]);

let deployment: Deployment;
let second: string;

beforeAll(async () => {
  const port = await freePort();
  second = `http://127.0.0.1:${port}`;
  deployment = await deploy({
    engine: 'mock',
    alsoListen: `127.0.0.1:${port}`,
    routerQueuePolicy: JSON.stringify(FOUR_TO_ONE),
    leaseMs: 60_000,
    logLevel: 'error',
  });
}, 60_000);

let prompts = 0;

/** Tokens that no other prompt begins with. */
function prompt(tokens: number): number[] {
  prompts++;
  return Array.from({ length: tokens }, (_, at) => (at === 0 ? prompts : (at * 7 + prompts) % 1000) + 1);
}

interface Ask {
  family: Family;
  tokens: number;
  ingress?: string;
  stream?: boolean;
  signal?: AbortSignal;
}

function ask({ family, tokens, ingress = deployment.url, stream = false, signal }: Ask): Promise<Response> {
  return fetch(`${ingress}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-dynamo-meta-policy-class': family },
    body: JSON.stringify({ model: 'mock', prompt: prompt(tokens), max_tokens: 1, stream }),
    ...(signal ? { signal } : {}),
  });
}

const waiting = async (family: Family) =>
  (await statusOf(deployment)).queue.find(({ policyClass }) => policyClass === `${family}-any`)?.requests ??
  0;

const put = (document: object) =>
  fetch(`${deployment.url}/router/queue_policy`, { method: 'PUT', body: JSON.stringify(document) });

const abandoned = () => metric(deployment, /router_queue_abandoned_total\{.*gold-any/);

/** Uncached prompt tokens that the queue has given to workers, of both classes at one moment. */
async function served(): Promise<Record<Family, number>> {
  const text = await (await fetch(`${deployment.url}/metrics`)).text();
  const of = (family: Family) => {
    const line = new RegExp(`queue_dispatched_uncached_tokens_total\\{.*"${family}-any"\\} (\\d+)`).exec(
      text,
    );
    return Number(line?.[1] ?? 0);
  };
  return { gold: of('gold'), bronze: of('bronze') };
}

describe('two addresses, one queue', () => {
  test('gold and bronze with quanta 4:1 are served 4:1 in uncached tokens, wherever they come from', async () => {
    const load: Ask[] = [];
    for (let index = 0; index < 100; index++) {
      const tokens = 100 + ((index * 37) % 400);
      const tenth = index % 10 === 0;
      load.push({ family: 'gold', tokens, ingress: tenth ? second : deployment.url });
      // The second address brings almost all of bronze, and brings it first.
      load.unshift({ family: 'bronze', tokens: 600 - tokens, ingress: tenth ? deployment.url : second });
    }
    // To the end: who waits longer than a second has its head before its turn.
    const answers = Promise.all(
      load.map(async (each) => {
        const response = await ask(each);
        await response.text();
        return response.status;
      }),
    );
    await eventually('both classes to be backlogged', async () =>
      (await waiting('gold')) > 70 && (await waiting('bronze')) > 70 ? true : null,
    );
    const before = await served();
    // The shares hold as long as both wait: what was served counts up to the last look at which both still did.
    let after = before;
    await eventually('most of gold to be served', async () => {
      const now = await served();
      const left = await waiting('gold');
      if (left > 0 && (await waiting('bronze')) > 0) after = now;
      return left < 15 ? true : null;
    });
    const ratio = (after.gold - before.gold) / (after.bronze - before.bronze);
    expect(after.gold - before.gold).toBeGreaterThan(10_000);
    expect(ratio).toBeGreaterThan(4 * 0.85);
    expect(ratio).toBeLessThan(4 * 1.15);
    expect(new Set(await answers)).toEqual(new Set([200]));
    await idle(deployment);
  }, 120_000);
});

describe('a client that leaves while it waits', () => {
  test('has headers after a second, comments then, and its place is free two seconds after it left', async () => {
    const release = await occupied();
    const before = await abandoned();
    const leaving = new AbortController();
    const response = await ask({ family: 'gold', tokens: 50, stream: true, signal: leaving.signal });
    expect(response.status).toBe(200);
    const reader = response.body!.getReader();
    const { value } = await reader.read();
    expect(new TextDecoder().decode(value)).toBe(': keep-alive\n\n');
    expect(await waiting('gold')).toBe(1);
    leaving.abort();
    await reader.read().catch(() => {});
    const leftMs = Date.now();
    await eventually('the ticket to be dropped', async () => ((await waiting('gold')) === 0 ? true : null));
    // A comment every half second finds it out, a ticket lives for two, the sweep looks every second.
    expect(Date.now() - leftMs).toBeLessThan(8_000);
    expect(await abandoned()).toBe(before + 1);
    await release();
  }, 60_000);
});

describe('a client of a plain answer that leaves while it waits', () => {
  test('is noticed by the white space before the answer, and its place is free two seconds later', async () => {
    const release = await occupied();
    const before = await abandoned();
    const leaving = new AbortController();
    const staying = ask({ family: 'gold', tokens: 50 });
    const response = await ask({ family: 'gold', tokens: 50, signal: leaving.signal });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json']);
    const reader = response.body!.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(' ');
    expect(await waiting('gold')).toBe(2);
    leaving.abort();
    await reader.read().catch(() => {});
    await eventually('the ticket to be dropped', async () => ((await waiting('gold')) === 1 ? true : null));
    expect(await abandoned()).toBe(before + 1);
    await release();
    expect(await (await staying).json()).toMatchObject({ object: 'text_completion' });
  }, 60_000);
});

describe('bounds and deadlines', () => {
  test('a full class says so with status 529 and figures; a wait past slo_ms is shed, also in a stream', async () => {
    expect(
      (
        await put(
          policyOf([
            classOf('gold', 4, { request_queue_limit_per_worker: 1, slo_ms: 1_500 }),
            classOf('bronze', 1),
          ]),
        )
      ).status,
    ).toBe(200);
    const release = await occupied();
    const queued = ask({ family: 'gold', tokens: 50 });
    const streamed = eventually('one to wait', async () => ((await waiting('gold')) === 1 ? true : null));
    await streamed;
    const refused = await ask({ family: 'gold', tokens: 50 });
    expect(refused.status).toBe(529);
    expect(await refused.json()).toMatchObject({
      error: { code: 'overloaded' },
      code: 529,
      type: 'Overloaded',
      details: { policy_class: 'gold-any', limit_kind: 'requests', current: 1, limit: 1 },
    });
    const shed = await queued;
    expect(shed.status).toBe(529);
    const body = (await shed.json()) as { details: { overdue_ms: number } };
    expect(body).toMatchObject({
      code: 529,
      type: 'Overloaded',
      details: { policy_class: 'gold-any', stage: 'dispatch', slo_ms: 1_500 },
    });
    expect(body.details.overdue_ms).toBeGreaterThan(0);
    expect(
      await metric(deployment, /queue_deadline_expired_total\{policy_class="gold-any",stage="dispatch"/),
    ).toBe(1);
    const late = await ask({ family: 'gold', tokens: 50, stream: true });
    expect(late.status).toBe(200);
    expect(await late.text()).toMatch(/"overloaded".*"overdue_ms"/);
    await release();
  }, 60_000);
});

describe('the policy', () => {
  test('changes while requests wait: none is lost, and without a threshold all go at once', async () => {
    await put(FOUR_TO_ONE);
    const release = await occupied();
    const answers = FAMILIES.map((family) => ask({ family, tokens: 50 }));
    await eventually('both to wait', async () =>
      (await waiting('gold')) + (await waiting('bronze')) === 2 ? true : null,
    );
    const changed = await put({ router_queue_threshold: 0, router_queue_policy: 'wspt' });
    expect(await changed.json()).toMatchObject({ router_queue_threshold: 0, router_queue_policy: 'wspt' });
    expect((await statusOf(deployment)).queue).toMatchObject([{ policyClass: 'default', requests: 2 }]);
    await put({});
    expect((await statusOf(deployment)).queue).toMatchObject([{ policyClass: 'default', requests: 0 }]);
    await release();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
  }, 60_000);

  test('that is wrong is refused by field, and the old one goes on', async () => {
    const before = await (await fetch(`${deployment.url}/router/queue_policy`)).json();
    const refused = await put(policyOf([{ ...classOf('gold', 1), quantum: 0 }]));
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain('policy_classes[0].quantum');
    expect((await put(policyOf([classOf('gold', 1)]))).status).toBe(400);
    expect(await (await fetch(`${deployment.url}/router/queue_policy`)).json()).toEqual(before);
  });
});

test("workerd's log has no uncaught error", () => {
  expect(readFileSync(join(deployment.directory, 'platform.log'), 'utf8')).not.toMatch(/uncaught/i);
});

/** Holds the one worker in prefill: a sidecar that stands still, until `release`. */
async function occupied(): Promise<() => Promise<void>> {
  const { pid } = sidecarOf(deployment, (await statusOf(deployment)).workers[0]!.instanceId);
  process.kill(pid, 'SIGSTOP');
  const running = ask({ family: 'bronze', tokens: 50 });
  await eventually('the worker to be busy', async () =>
    (await statusOf(deployment)).workers[0]!.activePrefillTokens > 0 ? true : null,
  );
  return async () => {
    process.kill(pid, 'SIGCONT');
    expect((await running).status).toBe(200);
    await idle(deployment);
  };
}
