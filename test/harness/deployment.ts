/**
 * Real deployments for end-to-end tests: a workerd and sidecars on free ports, ended with the test file. What they answer
 * to `fetch` is held against the published OpenAPI (`checked-fetch.ts`).
 */

import { afterAll } from 'vitest';
import { createDeployment, type Deployment, type DeploymentOptions } from '../../cli/launch/deployment.ts';
import { waitFor } from '../../cli/launch/platform-client.ts';
import { freePort } from '../../cli/launch/ports.ts';
import type { RouterStatus } from '../../durable/router/rpc.ts';
import { resolveSettings, type Settings } from '../../durable/runtime/config.ts';
import { holdToPublished } from './checked-fetch.ts';

const running: Deployment[] = [];

// At the top level of each test file that imports this: a hook registered inside another hook would never run.
afterAll(async () => {
  await Promise.all(running.splice(0).map((deployment) => deployment.stop(2_000)));
}, 30_000);

/** A deployment on these settings with nothing started yet. Ended with the test file. */
export async function plan(
  overrides: Partial<Settings> = {},
  options: DeploymentOptions = {},
): Promise<Deployment> {
  const settings: Settings = {
    ...resolveSettings([]),
    port: await freePort(),
    logLevel: 'warn',
    ...overrides,
  };
  const deployment = await createDeployment(settings, options);
  running.push(deployment);
  holdToPublished(deployment.url);
  return deployment;
}

/** Starts a deployment on these settings; all its workers are registered and have said their addresses. Ended with the test file. */
export async function deploy(overrides: Partial<Settings> = {}): Promise<Deployment> {
  const deployment = await plan(overrides);
  await deployment.start();
  await workersServing(deployment, deployment.sidecars.length);
  await eventually('every worker saying its addresses', async () =>
    deployment.sidecarLines.every((line) => line?.phase === 'serving') ? true : null,
  );
  return deployment;
}

export async function statusOf(deployment: Deployment): Promise<RouterStatus> {
  const headers = deployment.settings.apiKey ? { authorization: `Bearer ${deployment.settings.apiKey}` } : {};
  const response = await deployment.fetch(`${deployment.control.url}/stator/v1/status`, { headers });
  return (await response.json()) as RouterStatus;
}

/** Polls until `probe` gives something; a condition, not a sleep. `seen`: what was there instead, for the error. */
export function eventually<T>(
  what: string,
  probe: () => Promise<T | null>,
  timeoutMs = 20_000,
  seen: () => unknown = () => '',
): Promise<T> {
  return waitFor(probe, {
    timeoutMs,
    everyMs: 20,
    timeout: () => new Error(`${what} did not happen in ${timeoutMs} ms ${JSON.stringify(seen())}`),
  });
}

export function workersServing(
  deployment: Deployment,
  count: number,
  timeoutMs = 60_000,
): Promise<RouterStatus> {
  return eventually(
    `${count} workers serving`,
    async () => {
      const status = await statusOf(deployment).catch(() => null);
      return status?.workers.filter(({ phase }) => phase === 'serving').length === count ? status : null;
    },
    timeoutMs,
  );
}

/** No request anywhere: neither in the router's books nor in an engine. */
export function idle(deployment: Deployment, timeoutMs = 20_000): Promise<true> {
  let status: RouterStatus | null = null;
  return eventually(
    'an idle fleet',
    async () => {
      status = await statusOf(deployment).catch(() => null);
      const busy = status?.workers.some(
        ({ running, waiting, activeRequests }) => running + waiting + activeRequests > 0,
      );
      return status && status.inFlight === 0 && !busy ? true : null;
    },
    timeoutMs,
    () => status,
  );
}

/** The sidecar process that holds an instance id. */
export function sidecarOf(deployment: Deployment, instanceId: string): { index: number; pid: number } {
  const index = deployment.sidecarLines.findIndex((line) => line?.instance === instanceId);
  const pid = deployment.sidecars[index]?.pid;
  if (!pid) throw new Error(`no sidecar has instance ${instanceId}`);
  return { index, pid };
}

/** The value of one metric line in Prometheus text; 0 when it is not there. */
export async function metric(deployment: Deployment, pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${deployment.url}/metrics`)).text();
  let sum = 0;
  for (const line of text.split('\n'))
    if (!line.startsWith('#') && pattern.test(line)) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  return sum;
}
