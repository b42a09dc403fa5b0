/** Streams that wait for their worker longer than a client should for its headers. */

import { expect, test } from 'vitest';
import { inFlight, metric, scenario, wholeStream } from './scenario.ts';

const COMMENT = ': keep-alive\n\n';

test('a stream whose worker is slow gets its headers and comments, then the whole answer', async () => {
  const run = await scenario({ steps: [{ kind: 'hold' }] });
  const response = await run.chat();
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  expect(response.headers.get('x-stator-worker')).toBeNull();
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  for (const _ of [1, 2]) expect(decoder.decode((await reader.read()).value)).toBe(COMMENT);
  await run.release();
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read())
    text += decoder.decode(part.value);
  const [call] = (await run.log()).generate;
  expect(text.replaceAll(COMMENT, '')).toBe(wholeStream(call!.responseId, call!.created, call!.seed));
});

test('a refusal after the headers are out is an error event, and nothing stays in flight', async () => {
  const run = await scenario({
    steps: [{ kind: 'hold-then-refuse', status: 500, code: 'engine_error', message: 'the engine died' }],
  });
  const response = await run.chat();
  expect(response.status).toBe(200);
  await run.release();
  const events = (await response.text()).replaceAll(COMMENT, '');
  expect(events).toMatch(/^data: .*\n\n$/);
  expect(JSON.parse(events.slice('data: '.length))).toMatchObject({
    error: { code: 'engine_error', message: 'the engine died' },
  });
  expect(await inFlight(run)).toBe(0);
  expect(await metric('frontend_requests_total', { model: run.model, status: 'error' })).toBe(1);
  expect(await metric('frontend_inflight_requests', { model: run.model })).toBe(0);
});

test('a worker that is lost while the client already waits in comments is replaced', async () => {
  const run = await scenario({ steps: [{ kind: 'hold-then-cut' }, { kind: 'answer' }], workers: 2 });
  const response = await run.chat();
  await run.release();
  const text = (await response.text()).replaceAll(COMMENT, '');
  const [first, second] = (await run.log()).generate;
  expect(second!.worker).not.toBe(first!.worker);
  expect(text).toBe(wholeStream(first!.responseId, first!.created, first!.seed));
});
