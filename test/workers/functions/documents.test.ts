/** Answers that are not streamed, and workers lost in the middle of them. */

import { expect, test } from 'vitest';
import { errorOf, inFlight, metric, scenario } from './scenario.ts';

interface Document {
  id: string;
  created: number;
  seed: string;
  content: string;
}
const CONTENT = 'Grüße an 👋 alle';

test.each(['with-length', 'chunked'] as const)('an answer in one piece arrives, %s', async (document) => {
  const run = await scenario({ steps: [{ kind: 'answer' }], document, cachedTokens: 0 });
  const response = await run.chat({ stream: false });
  expect(response.headers.get('content-type')).toBe('application/json');
  expect(response.headers.get('x-stator-worker')).toBe(run.workers[0]);
  expect(response.headers.get('x-stator-cached-tokens')).toBe('0');
  expect(await response.json<Document>()).toMatchObject({ content: CONTENT });
  const labels = { model: run.model, request_type: 'unary', status: 'success' };
  expect(await metric('frontend_requests_total', labels)).toBe(1);
});

test.each(['with-length', 'chunked'] as const)(
  'cut anywhere, it is computed again by another worker and read as one, %s',
  async (document) => {
    const run = await scenario({ steps: [{ kind: 'answer' }], workers: 2, document });
    const whole = (await (await run.chat({ stream: false, seed: 3 })).text()).trim();
    const length = new TextEncoder().encode(whole).byteLength;
    for (let at = 0; at < length; at += 5) {
      await run.play([{ kind: 'cut', at }, { kind: 'answer' }]);
      const response = await run.chat({ stream: false, seed: 3 });
      const { generate } = await run.log();
      const answer = await response.json<Document>();
      const [first, second] = (await run.log()).generate;
      expect(answer).toEqual({ id: first!.responseId, created: first!.created, seed: '3', content: CONTENT });
      if (second === undefined) continue;
      expect(second).toMatchObject({ resume: null, responseId: first!.responseId, seed: '3' });
      expect(generate.length).toBeLessThanOrEqual(2);
    }
  },
);

test('a body that ends in order without a whole document counts as lost', async () => {
  const steps = [{ kind: 'end', at: 20 } as const, { kind: 'answer' } as const];
  const run = await scenario({ steps, workers: 2, document: 'chunked' });
  expect(await (await run.chat({ stream: false })).json<Document>()).toMatchObject({ content: CONTENT });
  expect((await run.log()).generate.length).toBe(2);
});

test('lost for good before its first byte, it is a 503', async () => {
  const run = await scenario({ steps: [{ kind: 'cut', at: -1 }], workers: 4 });
  const response = await run.chat({ stream: false });
  expect(response.status).toBe(503);
  expect(await errorOf(response)).toMatchObject({ code: 'migration_exhausted' });
  expect(await inFlight(run)).toBe(0);
});

test('lost for good behind its white space, the error takes the place of the document', async () => {
  const run = await scenario({ steps: [{ kind: 'cut', at: 0 }], workers: 4, document: 'chunked' });
  const response = await run.chat({ stream: false });
  expect(response.status).toBe(200);
  expect(await errorOf(response)).toMatchObject({ code: 'migration_exhausted' });
  expect((await run.log()).generate.length).toBe(4);
  expect(await metric('frontend_requests_total', { model: run.model, status: 'error' })).toBe(1);
  expect(await inFlight(run)).toBe(0);
});

test.each(['with-length', 'chunked'] as const)(
  'whose worker is slow, it has its head and white space after a second, %s',
  async (document) => {
    const run = await scenario({ steps: [{ kind: 'hold' }], document });
    const response = await run.chat({ stream: false });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('x-stator-worker')).toBeNull();
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    for (const _ of [1, 2]) expect(decoder.decode((await reader.read()).value)).toBe(' ');
    await run.release();
    let text = '';
    for (let part = await reader.read(); !part.done; part = await reader.read())
      text += decoder.decode(part.value);
    expect(JSON.parse(text)).toMatchObject({ content: CONTENT });
    const labels = { model: run.model, request_type: 'unary', status: 'success' };
    expect(await metric('frontend_requests_total', labels)).toBe(1);
    expect(await metric('frontend_inflight_requests', { model: run.model })).toBe(0);
  },
);

test('refused after its head is out, it is the error', async () => {
  const run = await scenario({
    steps: [{ kind: 'hold-then-refuse', status: 500, code: 'engine_error', message: 'the engine died' }],
  });
  const response = await run.chat({ stream: false });
  expect(response.status).toBe(200);
  await run.release();
  expect(await errorOf(response)).toMatchObject({ code: 'engine_error', message: 'the engine died' });
  expect(await inFlight(run)).toBe(0);
  expect(await metric('frontend_requests_total', { model: run.model, status: 'error' })).toBe(1);
});

test('lost after its head is out, it is computed by another worker', async () => {
  const run = await scenario({
    steps: [{ kind: 'hold-then-cut' }, { kind: 'answer' }],
    workers: 2,
    document: 'chunked',
  });
  const response = await run.chat({ stream: false });
  await run.release();
  expect(await response.json<Document>()).toMatchObject({ content: CONTENT });
  expect((await run.log()).generate.length).toBe(2);
});
