/** Do Dynamo's headers say where a request goes, and do they win over the body? */

import { expect, test } from 'vitest';
import { resolveSettings, settingsFromEnv } from '../../../durable/runtime/config.ts';
import type { Call } from '../../../functions/call.ts';
import { hintsWithHeaders, withHeaders } from '../../../functions/dispatch/routing-headers.ts';

const call = (headers: Record<string, string>, settings = resolveSettings([])): Call =>
  ({ request: new Request('http://stator.test/', { headers }), settings }) as Call;
const affinity = settingsFromEnv({ STATOR_SESSION_AFFINITY_TTL_SECS: '60' });

test('without them the wishes are those of the body, untouched', () => {
  const wishes = { lora: 'a' };
  expect(withHeaders(wishes, call({}))).toBe(wishes);
  expect(withHeaders(null, call({ 'x-session-id': 's' }))).toBeNull();
});

test('a worker and its rank', () => {
  const headers = { 'x-worker-instance-id': 'a1', 'x-dp-rank': '3' };
  expect(withHeaders({ pinned: 'b2' }, call(headers))).toEqual({ pinned: 'a1', dpRank: 3 });
  expect(withHeaders(null, call({ ...headers, 'x-dynamo-worker-instance-id': 'c3' }))?.pinned).toBe('c3');
});

test('a tenant that a gateway names is not changed by the body', () => {
  expect(withHeaders({ cacheNamespace: 'mine' }, call({ 'x-tenant-id': 'theirs' }))).toEqual({
    cacheNamespace: 'theirs',
  });
});

test('a session, where sessions have affinity', () => {
  expect(withHeaders(null, call({ 'x-dynamo-session-id': 's' }, affinity))).toEqual({
    session: { id: 's', final: false },
  });
  const last = { 'x-session-id': 's', 'x-dynamo-session-final': 'true' };
  expect(withHeaders(null, call(last, affinity))?.session).toEqual({ id: 's', final: true });
});

test.each([
  [{ 'x-worker-instance-id': 'no id' }, 'x-worker-instance-id'],
  [{ 'x-worker-instance-id': 'a1', 'x-dp-rank': '-1' }, 'x-dp-rank'],
  [{ 'x-tenant-id': 'x'.repeat(257) }, 'x-tenant-id'],
])('%o is refused by the name of the header', (headers, name) => {
  expect(() => withHeaders(null, call(headers as unknown as Record<string, string>))).toThrow(name);
});

test('priorities for the queue, each over the one of the body', () => {
  const hints = { priority: 1, strictPriority: 2 };
  const headers = (given: Record<string, string>) => new Headers(given);
  expect(hintsWithHeaders(hints, headers({}))).toBe(hints);
  expect(hintsWithHeaders(null, headers({}))).toBeNull();
  expect(hintsWithHeaders(hints, headers({ 'x-dynamo-request-priority': '-7' }))).toEqual({
    priority: -7,
    strictPriority: 2,
  });
  expect(hintsWithHeaders(null, headers({ 'x-dynamo-request-strict-priority': '9' }))).toEqual({
    priority: 0,
    strictPriority: 9,
  });
  for (const wrong of ['high', '1.5', '2147483648', '']) {
    expect(() => hintsWithHeaders(null, headers({ 'x-dynamo-request-priority': wrong }))).toThrow(
      /x-dynamo-request-priority/,
    );
  }
  expect(() => hintsWithHeaders(null, headers({ 'x-dynamo-request-strict-priority': '-1' }))).toThrow();
});
