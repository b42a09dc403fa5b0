/** The Planner object in workerd: off by default, an order's way by HTTP and gRPC-Web. More of it: test/durable/planner. */

import { env, SELF } from 'cloudflare:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { expect, it } from 'vitest';
import type { Env } from '../../../functions/env.ts';
import {
  WaitRequestSchema,
  WaitResponseSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/planner_pb.js';

const { PLANNER } = env as unknown as Env;
const headers = { authorization: 'Bearer sk-stator-test', 'content-type': 'application/json' };
const ask = (path: string, init: RequestInit = {}) =>
  SELF.fetch(`http://stator${path}`, { headers, ...init });

it('is off unless it is asked for, and says so', async () => {
  const planner = PLANNER.get(PLANNER.idFromName('off'));
  expect(await planner.status()).toMatchObject({ mode: 'off', looks: 0 });
  expect(await planner.wake()).toMatchObject({ waking: false });
  const answer = await ask('/planner/v1/default');
  expect(await answer.json()).toMatchObject({ mode: 'off', order: null, wants: null });
  expect(await (await ask('/planner/v1/default/decisions')).json()).toEqual({ decisions: [] });
});

it('refuses what it cannot take, in words', async () => {
  expect((await ask('/planner/v1/nobody')).status).toBe(404);
  expect((await SELF.fetch('http://stator/planner/v1/default')).status).toBe(401);
  expect((await ask('/planner/v1/default/orders?after=x')).status).toBe(400);
  const post = (id: string, body: object) =>
    ask(`/planner/v1/default/orders/${id}`, { method: 'POST', body: JSON.stringify(body) });
  expect((await post('7', { outcome: 'done' })).status).toBe(404);
  expect((await post('x', { outcome: 'done' })).status).toBe(400);
  expect((await post('7', { outcome: 'perhaps' })).status).toBe(400);
});

it('has no order to wait for, by HTTP and by gRPC, bare and framed', async () => {
  expect(await (await ask('/planner/v1/default/orders?wait_ms=1')).json()).toEqual({ order: null });
  const message = toBinary(
    WaitRequestSchema,
    create(WaitRequestSchema, { namespace: 'default', waitMs: 1, after: 0n }),
  );
  const call = (body: Uint8Array, type: string) =>
    ask('/stator.v1.Planner/Wait', { method: 'POST', body, headers: { ...headers, 'content-type': type } });
  const bare = await call(message, 'application/proto');
  expect(fromBinary(WaitResponseSchema, new Uint8Array(await bare.arrayBuffer())).order).toBeUndefined();
  const framed = new Uint8Array(5 + message.length);
  new DataView(framed.buffer).setUint32(1, message.length);
  framed.set(message, 5);
  const web = await call(framed, 'application/grpc-web+proto');
  expect(web.headers.get('content-type')).toBe('application/grpc-web+proto');
  expect(await web.text()).toContain('grpc-status:0');
});
