/** Streams over workers that are lost, refuse or lie: what the client sees and what the next worker is told. */

import { expect, test } from 'vitest';
import { errorOf, inFlight, metric, scenario, wholeStream } from './scenario.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

test('an answer without a break arrives byte for byte, with the heads of worker and cache', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }], cachedTokens: 16 });
  const response = await run.chat();
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  expect(response.headers.get('x-stator-worker')).toBe(run.workers[0]);
  expect(response.headers.get('x-stator-cached-tokens')).toBe('16');
  expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-f-]{36}$/);
  const text = await response.text();
  const [call] = (await run.log()).generate;
  expect(text).toBe(wholeStream(call!.responseId, call!.created, call!.seed));
  expect(call!.resume).toBeNull();
});

test('a stream cut at any byte of an event is continued once, exactly where it broke', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }], workers: 2, cachedTokens: 3 });
  const events = (await (await run.chat({ seed: 7 })).text()).split(/(?<=\n\n)/).map((e) => bytes(e).length);
  const startOf = (index: number) => events.slice(0, index).reduce((sum, length) => sum + length, 0);
  // Every byte of the event with three ids and a four-byte character, and all around the others' borders.
  const cuts = new Set(Array.from({ length: events[2]! + 1 }, (_, at) => startOf(2) + at));
  for (let index = 0; index < events.length; index++) {
    for (const at of [-2, -1, 0, 1, 4, 7]) cuts.add(Math.max(startOf(index) + at, 0));
  }
  for (const at of cuts) {
    await run.play([{ kind: 'cut', at }, { kind: 'answer' }]);
    const text = await (await run.chat({ seed: 7 })).text();
    const { generate } = await run.log();
    const [first, second] = generate;
    const whole = wholeStream(first!.responseId, first!.created, '7');
    expect(text, `cut at byte ${at}`).toBe(whole);
    expect(generate.length, `cut at byte ${at}`).toBe(2);
    expect(second).toMatchObject({
      fits: true,
      responseId: first!.responseId,
      created: first!.created,
      seed: '7',
      tokenIds: first!.tokenIds,
      maxTokens: 50,
    });
    expect(second!.worker).not.toBe(first!.worker);
    expect(second!.reservation).not.toBe(first!.reservation);
    if (at === 0) expect(second!.resume).toBeNull();
    else {
      const had = whole.split('\n\n').length - 1;
      expect(second!.resume!.events).toBeLessThan(had);
      expect(second!.resume!.cachedTokens).toBe(3);
    }
  }
}, 180_000);

test('a body that ends in order without its last event counts as lost', async () => {
  const run = await scenario({ steps: [{ kind: 'end', at: 200 }, { kind: 'answer' }], workers: 2 });
  const text = await (await run.chat()).text();
  const [first, second] = (await run.log()).generate;
  expect(text).toBe(wholeStream(first!.responseId, first!.created, first!.seed));
  expect(second).toMatchObject({ fits: true, seed: first!.seed });
});

test('a connection that breaks behind the last event is no loss', async () => {
  const probe = await scenario({ steps: [{ kind: 'answer' }] });
  const length = bytes(await (await probe.chat({ seed: 7 })).text()).length;
  const run = await scenario({ steps: [{ kind: 'cut', at: length }], workers: 2 });
  const text = await (await run.chat({ seed: 7 })).text();
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  expect((await run.log()).generate.length).toBe(1);
});

test('worker after worker is lost: each continues, up to the migration limit, then an error event', async () => {
  const steps = [120, 300, 380, 420].map((at) => ({ kind: 'cut', at }) as const);
  const run = await scenario({ steps, workers: 4 });
  const text = await (await run.chat()).text();
  const { generate } = await run.log();
  expect(generate.length).toBe(4);
  expect(new Set(generate.map(({ worker }) => worker)).size).toBe(4);
  expect(generate.every(({ fits }) => fits)).toBe(true);
  const events = text.trimEnd().split('\n\n');
  expect(JSON.parse(events.at(-1)!.slice('data: '.length))).toMatchObject({
    error: { code: 'migration_exhausted', type: 'server_error' },
  });
  expect(await inFlight(run)).toBe(0);
  const labels = { model: run.model };
  expect(
    await metric('frontend_model_migration_total', { ...labels, migration_type: 'ongoing_request' }),
  ).toBe(3);
  expect(
    await metric('frontend_requests_total', { ...labels, request_type: 'stream', status: 'error' }),
  ).toBe(1);
  expect(await metric('frontend_inflight_requests', labels)).toBe(0);
});

test("the card's migration limit holds when it is lower", async () => {
  const run = await scenario({ steps: [{ kind: 'cut', at: 150 }], workers: 3, card: { migrationLimit: 1 } });
  expect(await (await run.chat()).text()).toContain('migration_exhausted');
  expect((await run.log()).generate.length).toBe(2);
});

test("a worker's own error event ends the stream and is not migrated", async () => {
  const run = await scenario({ steps: [{ kind: 'fail', at: 0 }, { kind: 'answer' }], workers: 2 });
  expect(await (await run.chat()).text()).toBe('data: {"error":{"code":"engine_error"}}\n\n');
  expect((await run.log()).generate.length).toBe(1);
  expect(await metric('frontend_requests_total', { model: run.model, status: 'error' })).toBe(1);
});

test.each([
  ['breaks the connection before its head', { kind: 'cut', at: -1 }],
  ['is draining', { kind: 'refuse', status: 503, code: 'worker_draining', message: 'draining' }],
  ['is overloaded', { kind: 'refuse', status: 529, code: 'overloaded', message: 'full' }],
  ['is no sidecar of ours', { kind: 'refuse', status: 502, code: '', message: 'a proxy' }],
] as const)('a worker that %s is replaced, unseen by the client', async (_, step) => {
  for (const stream of [true, false]) {
    const run = await scenario({ steps: [step, { kind: 'answer' }], workers: 2 });
    const response = await run.chat({ stream });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('Grüße');
    const [first, second] = (await run.log()).generate;
    expect(second!.worker).not.toBe(first!.worker);
    expect(response.headers.get('x-stator-worker')).toBe(second!.worker);
    expect(second).toMatchObject({ resume: null, seed: first!.seed, responseId: first!.responseId });
    const labels = { model: run.model, migration_type: 'new_request' };
    expect(await metric('frontend_model_migration_total', labels)).toBe(1);
  }
});

test('a worker whose address refuses connections is replaced', async () => {
  const refused = 'http://127.0.0.1:1';
  const run = await scenario({ steps: [{ kind: 'answer' }], workers: 2, addresses: [refused] });
  for (let request = 0; request < 4; request++) {
    const response = await run.chat();
    expect(response.headers.get('x-stator-worker')).toBe(run.workers[1]);
    expect(await response.text()).toContain('[DONE]');
  }
});

test('the only worker breaks a connection once and is asked again', async () => {
  const run = await scenario({ steps: [{ kind: 'cut', at: 210 }, { kind: 'answer' }] });
  const text = await (await run.chat()).text();
  const [first, second] = (await run.log()).generate;
  expect(text).toBe(wholeStream(first!.responseId, first!.created, first!.seed));
  expect(second!.worker).toBe(first!.worker);
});

test('before any byte, an exhausted limit is a 503 and frees the reservation', async () => {
  const run = await scenario({ steps: [{ kind: 'cut', at: -1 }], workers: 5 });
  const response = await run.chat();
  expect(response.status).toBe(503);
  expect(await errorOf(response)).toMatchObject({ code: 'migration_exhausted', type: 'server_error' });
  expect((await run.log()).generate.length).toBe(4);
  expect(await inFlight(run)).toBe(0);
});

test('when every worker is overloaded the client hears so, with the time to wait', async () => {
  const full = { kind: 'refuse', status: 529, code: 'overloaded', message: 'full', retryAfter: '7' } as const;
  const run = await scenario({ steps: [full], workers: 2 });
  const response = await run.chat();
  expect(response.status).toBe(529);
  expect(response.headers.get('retry-after')).toBe('7');
  expect(await errorOf(response)).toMatchObject({ code: 'overloaded', message: 'full' });
  expect(await inFlight(run)).toBe(0);
});

test.each([
  { status: 400, code: 'invalid_request', message: 'sampling.top_k: no', param: 'top_k' },
  { status: 500, code: 'engine_error', message: 'the engine died' },
])('a refusal that another worker would repeat goes to the client: $code', async (refusal) => {
  const run = await scenario({ steps: [{ kind: 'refuse', ...refusal }], workers: 2 });
  const response = await run.chat();
  expect(response.status).toBe(refusal.status);
  expect(await errorOf(response)).toMatchObject({
    code: refusal.code,
    message: refusal.message,
    param: refusal.param ?? null,
  });
  expect((await run.log()).generate.length).toBe(1);
  expect(await inFlight(run)).toBe(0);
});
