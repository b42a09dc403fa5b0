/** What a request counts, and that it counts once. */

import { expect, test } from 'vitest';
import { FrontendMetrics, RequestTrack } from '../../functions/metrics.ts';

function tracked() {
  const metrics = new FrontendMetrics('stator');
  const client = new AbortController();
  let nowMs = 1_000;
  const track = new RequestTrack(metrics, 'chat_completions', {
    startedMs: nowMs,
    nowMs: () => nowMs,
    signal: () => client.signal,
  });
  const line = (start: string) =>
    metrics
      .text()
      .split('\n')
      .find((text) => text.startsWith(start));
  return { metrics, client, track, line, advance: (ms: number) => (nowMs += ms) };
}

test('a request is in flight from its acceptance to its end, and counted once', () => {
  const { track, line, advance } = tracked();
  track.accepted('tiny', true);
  expect(line('stator_frontend_inflight_requests{')).toBe(
    'stator_frontend_inflight_requests{model="tiny"} 1',
  );
  advance(250);
  track.ended('success');
  track.ended('error');
  expect(line('stator_frontend_inflight_requests{')).toBe(
    'stator_frontend_inflight_requests{model="tiny"} 0',
  );
  expect(line('stator_frontend_requests_total{')).toBe(
    'stator_frontend_requests_total{model="tiny",endpoint="chat_completions",request_type="stream",status="success"} 1',
  );
  expect(line('stator_frontend_request_duration_seconds_sum')).toMatch(/ 0\.25$/);
});

test('a request that was never accepted counts as an error and leaves the gauge alone', () => {
  const { track, line } = tracked();
  track.ended('error');
  expect(line('stator_frontend_requests_total{')).toContain('model="",');
  expect(line('stator_frontend_inflight_requests{')).toBeUndefined();
});

test('a client that leaves a running answer ends it', () => {
  const { client, track, line } = tracked();
  track.accepted('tiny', true);
  track.outlivesHandler();
  client.abort();
  track.ended('success');
  expect(line('stator_frontend_requests_total{')).toContain('status="cancelled"');
  expect(line('stator_frontend_disconnected_clients')).toBe('stator_frontend_disconnected_clients 1');
  expect(line('stator_frontend_inflight_requests{')).toMatch(/ 0$/);
});

test('a client that had already left is noticed, too', () => {
  const { client, track, line } = tracked();
  track.accepted('tiny', false);
  client.abort();
  track.outlivesHandler();
  expect(line('stator_frontend_inflight_requests{')).toMatch(/ 0$/);
});
