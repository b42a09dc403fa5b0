/** The GlobalPlanner object on the polyfill: who may ask, with what, and that a crash promises nothing twice. */

import { expect, test } from 'vitest';
import { GlobalPlanner } from '../../../durable/global-planner/global-planner-object.ts';
import type { Claim } from '../../../durable/global-planner/rpc.ts';
import { ObjectNamespace } from '../../../durable/polyfill/object-namespace.ts';
import { VirtualHost } from '../../../durable/polyfill/virtual-host.ts';
import type { GlobalPlannerStub } from '../../../functions/env.ts';

function world(env: Record<string, string>) {
  const host = new VirtualHost({ startMs: 1_000 });
  const objects = new ObjectNamespace(GlobalPlanner, {
    env,
    host,
    report: (error) => {
      throw error;
    },
  });
  const stub = () => objects.getByName('global-planner') as unknown as GlobalPlannerStub;
  return { host, stub, crash: () => objects.crash(objects.idFromName('global-planner')) };
}

const claim = (namespace: string, wanted: number, running = 0): Claim => ({
  namespace,
  roles: [{ role: 'worker', min: 0, wanted, gpusPerWorker: 2 }],
  running: { worker: running },
  leaseMs: 60_000,
  intervalMs: 10_000,
});

test('the settings say budget, weights and priorities', async () => {
  const { stub } = world({
    STATOR_MAX_TOTAL_GPUS: '12',
    STATOR_GLOBAL_PLANNER_WEIGHTS: 'a=2,b=1',
    STATOR_GLOBAL_PLANNER_PRIORITIES: 'c=-1',
  });
  await stub().ask(claim('a', 0));
  await stub().ask(claim('c', 3));
  expect(await stub().ask(claim('b', 9))).toMatchObject({ counts: { worker: 3 } });
  expect(await stub().status()).toMatchObject({
    maxTotalGpus: 12,
    grantedGpus: 12,
    namespaces: [
      { namespace: 'a', weight: 2, priority: 0 },
      { namespace: 'c', weight: 1, priority: -1, granted: { worker: 3 } },
      { namespace: 'b', wanted: { worker: 9 } },
    ],
  });
});

test('what was granted outlives a crash, for the length of a lease', async () => {
  const { host, stub, crash } = world({ STATOR_MAX_TOTAL_GPUS: '8' });
  await stub().ask(claim('a', 4));
  crash();
  expect(await stub().ask(claim('b', 4))).toMatchObject({ counts: { worker: 0 } });
  await host.advance(60_001);
  expect(await stub().ask(claim('b', 4))).toMatchObject({ counts: { worker: 4 } });
});

test('strangers and nonsense are refused by name, and change nothing', async () => {
  const { stub } = world({ STATOR_MAX_TOTAL_GPUS: '8', STATOR_MANAGED_NAMESPACES: 'a,b' });
  expect(await stub().ask(claim('c', 1))).toEqual({ refused: 'c is none of the managed namespaces' });
  const wrong = [
    { ...claim('a', 1), roles: [] },
    claim('a', -1),
    claim('a', Number.NaN),
    { ...claim('a', 1), roles: [{ role: 'worker' as const, min: 3, wanted: 2, gpusPerWorker: 1 }] },
    { ...claim('a', 1), leaseMs: Number.POSITIVE_INFINITY },
  ];
  for (const each of wrong) expect(await stub().ask(each)).toMatchObject({ refused: expect.any(String) });
  expect((await stub().status()).namespaces).toEqual([]);
});
