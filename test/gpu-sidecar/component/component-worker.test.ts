/** A component's worker with time driven by hand: endpoints that hang leave discovery and come back, and its end is bounded. */
import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Logger } from '../../../durable/runtime/log.ts';
import { ComponentWorker } from '../../../gpu-sidecar/component/component-worker.ts';
import { defineComponent, type EndpointHandler } from '../../../gpu-sidecar/component/define-component.ts';
import type { Discovery } from '../../../gpu-sidecar/discovery/discovery.ts';
import { ManualTime } from '../../harness/manual-time.ts';
import { soon } from '../../harness/soon.ts';

function scriptedDiscovery() {
  const table = new Map<string, string>();
  const discovery: Discovery = {
    put: async (key, value) => void table.set(key, value),
    delete: async (key) => void table.delete(key),
    list: async () => [],
    watch: () => ({ synced: Promise.resolve(), close: () => {} }),
    close: async () => table.clear(),
  };
  return { discovery, table };
}

async function workerOf(handler: EndpointHandler) {
  const { discovery, table } = scriptedDiscovery();
  const timers = new ManualTime();
  const worker = new ComponentWorker({
    component: defineComponent({ component: 'c', endpoints: { e: { handler, canary: 'canary' } } }),
    discovery,
    fleetToken: 'token',
    tls: null,
    host: '127.0.0.1',
    httpPort: 0,
    grpcPort: 0,
    metricsPrefix: 'stator',
    timers,
    log: new Logger({ component: 'test', write: () => {} }),
    clock: timers,
  });
  const addresses = await worker.start();
  return { worker, table, timers, addresses };
}

test('an endpoint that fails its canary leaves discovery until it answers', async () => {
  let healthy = false;
  let asked = 0;
  const { worker, table, timers } = await workerOf(async (input) => {
    expect(input).toBe('canary');
    asked++;
    if (!healthy) throw new Error('not today');
    return 'fine';
  });
  expect(table.size).toBe(1);
  await soon(() => {
    timers.advance(LIMITS.canaryIdleMs);
    expect(table.size).toBe(0);
  });
  expect(asked).toBeGreaterThanOrEqual(LIMITS.canaryFailures);
  healthy = true;
  await soon(() => {
    timers.advance(LIMITS.canaryRetryMs);
    expect(table.size).toBe(1);
  });
  await worker.drain(0);
});

test('a call that never ends is cut off when the worker has drained for long enough, and is told so', async () => {
  const begun = Promise.withResolvers<void>();
  const { worker, table, timers, addresses } = await workerOf(() => {
    begun.resolve();
    return new Promise(() => {});
  });
  const init = { method: 'POST', headers: { authorization: 'Bearer token' } };
  const path = `${addresses.http}/stator.v1.Component/e`;
  const call = fetch(path, init);
  await begun.promise;
  const ended = worker.drain(5_000);
  expect(table.size).toBe(0);
  const late = await fetch(path, init);
  expect(await late.json()).toMatchObject({ error: { code: 'worker_draining' } });
  timers.advance(5_000);
  const answer = await call;
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ error: { code: 'worker_draining' } });
  const patience = setInterval(() => timers.advance(LIMITS.componentGraceMs), 5);
  await ended;
  clearInterval(patience);
});

test('nobody is served without the fleet token, on either path', async () => {
  const { worker, addresses } = await workerOf(async () => 'secret');
  for (const path of ['/stator.v1.Component/e', '/health', '/metrics']) {
    const response = await fetch(addresses.http + path, { headers: { authorization: 'Bearer wrong' } });
    expect(response.status, path).toBe(401);
    await response.body?.cancel();
  }
  await worker.drain(0);
});

test('what is no component is refused by name', () => {
  const handler = async () => 1;
  const bad = (component: string, endpoints: object) => () =>
    defineComponent({ component, endpoints: endpoints as Record<string, EndpointHandler> });
  expect(bad('a.b', { e: handler })).toThrow(/component 'a\.b'/);
  expect(bad('a', { 'e/f': handler })).toThrow(/endpoint 'e\/f'/);
  expect(bad('a', {})).toThrow(/1 to 64 endpoints/);
  expect(bad('a', { e: 7 })).toThrow(/endpoint e is not a function/);
});
