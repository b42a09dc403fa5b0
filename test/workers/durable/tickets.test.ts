/** Waiting for a ticket in real workerd, by RPC only: who settles the wait is another event of the object, or another caller. */

import { expect, test } from 'vitest';
import { nearbyRouter } from '../../../durable/router/nearby.ts';
import type { RouteRequest } from '../../../durable/router/rpc.ts';
import { Phase } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { batchFrame, dumpFrame, registerFrame } from '../../durable/router/fleet-worker.ts';
import { FleetClient, routerStub } from './fleet-client.ts';

const request: RouteRequest = {
  requestId: 'req_1',
  model: 'tiny',
  blockHashes: new Uint8Array(0),
  promptTokens: 9,
};

/** A namespace whose one worker is busy, and who keeps it so. */
async function busy(namespace: string) {
  const router = routerStub(namespace);
  const client = await FleetClient.open(namespace);
  client.send(registerFrame({}));
  await client.take('sendDump');
  client.send(dumpFrame([]));
  client.send(batchFrame({}));
  await client.take('ack');
  expect(await router.setQueuePolicy({ router_queue_threshold: 0 })).toBeNull();
  const first = await router.route(request);
  if (first.kind !== 'decision') throw new Error(JSON.stringify(first));
  const second = await router.route(request);
  if (second.kind !== 'ticket') throw new Error(JSON.stringify(second));
  return { router, client, reservation: first.reservation, ticket: second.ticket };
}

test("a worker's report on its socket settles a wait that an RPC began", async () => {
  const { router, client, reservation, ticket } = await busy('tickets-socket');
  const waiting = router.wait(ticket);
  client.send(batchFrame({ progress: [{ reservation, phase: Phase.FIRST_TOKEN }] }));
  expect(await waiting).toMatchObject({ kind: 'decision' });
  client.close();
});

test("another caller's release settles it too", async () => {
  const { router, client, reservation, ticket } = await busy('tickets-release');
  const waiting = router.wait(ticket);
  await router.release(reservation);
  expect(await waiting).toMatchObject({ kind: 'decision' });
  client.close();
});

test('while somebody waits nobody calls the object directly: a wait may be settled in its own context only', async () => {
  const namespace = 'tickets-nearby';
  const { router, client, reservation, ticket } = await busy(namespace);
  expect(nearbyRouter(namespace)).toBeUndefined();
  const waiting = router.wait(ticket);
  await router.release(reservation);
  expect(await waiting).toMatchObject({ kind: 'decision' });
  expect(nearbyRouter(namespace)).toBeDefined();
  client.close();
});

test('nobody free within a second: the ticket again; a policy that lets all go answers it', async () => {
  const { router, client, ticket } = await busy('tickets-again');
  expect(await router.wait(ticket)).toEqual({ kind: 'ticket', ticket });
  const waiting = router.wait(ticket);
  expect(await router.setQueuePolicy({})).toBeNull();
  expect(await waiting).toMatchObject({ kind: 'decision' });
  expect(await router.wait(ticket)).toMatchObject({ kind: 'refusal', code: 'not_found' });
  expect(await router.setQueuePolicy({ policy_classes: [] })).toMatchObject({ code: 'invalid_request' });
  client.close();
});
