/** Who may ask what: keys, ids, paths, methods, sizes. */

import { describe, expect, test } from 'vitest';
import { API_KEY, errorOf, FLEET_TOKEN, platform, post } from './scenario.ts';

const ROUTES: [string, string][] = [
  ['GET', '/'],
  ['GET', '/v1/models'],
  ['GET', '/v1/models/x'],
  ['GET', '/metrics'],
  ['GET', '/stator/v1/status'],
  ['POST', '/stator/v1/clear_kv_blocks'],
  ['GET', '/stator/v1/prefill_queue'],
  ['POST', '/stator/v1/prefill_queue/dead_letters'],
  ['GET', '/router/queue_policy'],
  ['PUT', '/router/queue_policy'],
  ['POST', '/v1/chat/completions'],
  ['POST', '/v1/completions'],
  ['GET', '/no-such-thing'],
];

describe('every route wants the key', () => {
  test.each(ROUTES)('%s %s', async (method, path) => {
    for (const authorization of [
      'Bearer wrong',
      `Bearer ${API_KEY}x`,
      `Bearer ${API_KEY.slice(0, -1)}`,
      `Basic ${API_KEY}`,
      'Bearer',
    ]) {
      const response = await platform(path, { method, headers: { authorization } });
      expect(response.status).toBe(401);
      expect(await errorOf(response)).toMatchObject({
        code: 'invalid_api_key',
        type: 'authentication_error',
      });
      expect(response.headers.get('x-request-id')).toMatch(/^req_/);
    }
  });
});

test('/health and /live want none', async () => {
  const none = { headers: { authorization: 'none' } };
  expect((await platform('/live', none)).status).toBe(200);
  expect([200, 503]).toContain((await platform('/health', none)).status);
});

test('x-api-key is as good as a bearer token', async () => {
  expect((await platform('/v1/models', { headers: { 'x-api-key': API_KEY } })).status).toBe(200);
  expect((await platform('/v1/models', { headers: { 'x-api-key': 'wrong' } })).status).toBe(401);
});

test('the key is checked before the body is read', async () => {
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(1024));
      },
    },
    { highWaterMark: 0 },
  );
  const response = await platform('/v1/chat/completions', {
    method: 'POST',
    body,
    headers: { 'x-api-key': 'no' },
  });
  expect(response.status).toBe(401);
  expect(pulled).toBeLessThanOrEqual(1);
});

test('a worker wants the fleet token; the API key is not one', async () => {
  const dial = (authorization: string, upgrade: Record<string, string> = { upgrade: 'websocket' }) =>
    platform('/fleet/v1/fleet-test', { headers: { authorization, ...upgrade } });
  for (const token of [API_KEY, 'x', `${FLEET_TOKEN}x`]) {
    expect((await dial(`Bearer ${token}`)).status).toBe(401);
  }
  expect(await errorOf(await dial(`Bearer ${FLEET_TOKEN}`, {}))).toMatchObject({ param: 'upgrade' });
  const bad = await platform('/fleet/v1/Not%20One', {
    headers: { authorization: `Bearer ${FLEET_TOKEN}`, upgrade: 'websocket' },
  });
  expect(await errorOf(bad)).toMatchObject({ param: 'namespace' });
});

test.each(['my-id_1.2:3', 'a'.repeat(128)])('a sane request id is taken and echoed: %s', async (id) => {
  const response = await platform('/v1/models', { headers: { 'x-request-id': id } });
  expect(response.headers.get('x-request-id')).toBe(id);
});

test.each(['', ' ', 'a b', '"quoted"', 'a'.repeat(129), '-x', 'ü'])(
  'any other is replaced: %j',
  async (id) => {
    const headers = new Headers();
    try {
      headers.set('x-request-id', id);
    } catch {
      return expect(id).toBe('ü');
    }
    headers.set('authorization', `Bearer ${API_KEY}`);
    const response = await platform('/v1/models', { headers: Object.fromEntries(headers) });
    expect(response.headers.get('x-request-id')).toMatch(
      /^req_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  },
);

test("an unknown path is a 404 and a wrong method a 405, in OpenAI's form", async () => {
  const unknown = await platform('/v1/nothing');
  expect(unknown.status).toBe(404);
  expect(await errorOf(unknown)).toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('/v1/nothing'),
  });
  const wrong = await platform('/v1/chat/completions');
  expect(wrong.status).toBe(405);
  expect(wrong.headers.get('allow')).toBe('POST');
  expect(await errorOf(wrong)).toMatchObject({ code: 'method_not_allowed', type: 'invalid_request_error' });
  expect((await post('/v1/models', {})).status).toBe(405);
});

test('a body that says it is too large is refused unread', async () => {
  const response = await post('/v1/chat/completions', 'x'.repeat(100_001));
  expect(response.status).toBe(413);
  expect(await errorOf(response)).toMatchObject({ code: 'body_too_large' });
});

test('a body that does not say its length is cut while it is read', async () => {
  let sent = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        sent += 10_000;
        controller.enqueue(new Uint8Array(10_000).fill(0x20));
        if (sent >= 100_000_000) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  const response = await platform('/v1/chat/completions', { method: 'POST', body });
  expect(response.status).toBe(413);
  expect(sent).toBeLessThan(1_000_000);
});
