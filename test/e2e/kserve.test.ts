/** KServe's protocol on a whole deployment: answers come through the platform, from either worker, and cancelling stops the engine. */

import { once } from 'node:events';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { freePort } from '../../cli/launch/ports.ts';
import * as proto from '../../gpu-sidecar/proto/gen/inference/grpc_service_pb.js';
import { deploy, idle, sidecarOf } from '../harness/deployment.ts';
import { ask, request, streamOf, texts, whole } from '../harness/kserve-client.ts';
import { soon } from '../harness/soon.ts';

const { method } = proto.GRPCInferenceService;
const MODEL = { modelName: 'kserve-model' };
const tokens = (count: number) => ({
  max_tokens: { parameterChoice: { case: 'int64Param' as const, value: BigInt(count) } },
  seed: { parameterChoice: { case: 'int64Param' as const, value: 7n } },
  ignore_eos: { parameterChoice: { case: 'boolParam' as const, value: true } },
});

let deployment: Deployment;
let client: Client;
const key = new Metadata();
key.set('authorization', 'Bearer sk-stator-kserve');

beforeAll(async () => {
  const grpcPort = await freePort();
  deployment = await deploy({
    workers: 2,
    engine: 'mock',
    apiKey: 'sk-stator-kserve',
    ...MODEL,
    mockDecodeMs: 20,
    grpcPort,
  });
  expect(deployment.sidecarLines[0]?.grpc).toBe(`127.0.0.1:${grpcPort}`);
  client = new Client(`127.0.0.1:${grpcPort}`, credentials.createInsecure());
}, 60_000);
afterAll(() => client.close());

test('the server and its model say what they are', async () => {
  expect(await ask(client, method.serverLive, {})).toMatchObject({ live: true });
  expect(await ask(client, method.serverReady, {})).toMatchObject({ ready: true });
  expect(await ask(client, method.modelReady, { name: MODEL.modelName }, key)).toMatchObject({ ready: true });
});

test('without the key of the platform nobody gets an answer', async () => {
  await expect(ask(client, method.modelInfer, whole('hi', MODEL))).rejects.toMatchObject({ code: 16 });
});

test('a whole answer and a streamed one are the same, whichever worker computes them', async () => {
  const parameters = tokens(8);
  const answer = await ask(client, method.modelInfer, whole('hello', { ...MODEL, parameters }), key);
  expect(texts(answer, 'finish_reason')).toEqual(['length']);
  const stream = streamOf(client, key);
  stream.write(request('hello', { ...MODEL, parameters }));
  stream.end();
  let streamed = '';
  for await (const message of stream) {
    const { errorMessage, inferResponse } = message as proto.ModelStreamInferResponse;
    expect(errorMessage).toBe('');
    streamed += texts(inferResponse)?.[0];
  }
  expect(streamed).toBe(texts(answer)?.[0]);
  await idle(deployment);
});

test('ModelInfer has one response, so it refuses to stream', async () => {
  const asked = ask(client, method.modelInfer, request('hi', MODEL), key);
  await expect(asked).rejects.toMatchObject({
    code: 3,
    details: expect.stringContaining('ModelStreamInfer'),
  });
});

test('a cancelled stream stops the engine', async () => {
  const stream = streamOf(client, key);
  stream.on('error', () => {});
  stream.write(request('long', { ...MODEL, parameters: tokens(2_000) }));
  await once(stream, 'data');
  stream.cancel();
  await idle(deployment);
});

test('an answer goes on when its worker is killed', async () => {
  // The first worker's listener carries the calls, so it is kept busy: the second one gets the answer that is cut.
  const pinned = JSON.stringify({ backend_instance_id: deployment.sidecarLines[0]?.instance });
  const nvext = { parameterChoice: { case: 'stringParam' as const, value: pinned } };
  const busy = streamOf(client, key);
  busy.on('error', () => {});
  busy.write(request('busy', { ...MODEL, parameters: { ...tokens(2_000), nvext } }));
  await once(busy, 'data');

  const parameters = tokens(40);
  const stream = streamOf(client, key);
  stream.write(request('again', { ...MODEL, parameters }));
  stream.end();
  let pieces = 0;
  let text = '';
  stream.on('data', ({ inferResponse }: proto.ModelStreamInferResponse) => {
    pieces++;
    text += texts(inferResponse)?.[0];
  });
  const ended = once(stream, 'end');
  await soon(() => expect(pieces).toBeGreaterThan(3));
  process.kill(sidecarOf(deployment, deployment.sidecarLines[1]?.instance ?? '').pid, 'SIGKILL');
  await ended;
  busy.cancel();
  expect(text).toBe(
    texts(await ask(client, method.modelInfer, whole('again', { ...MODEL, parameters }), key))?.[0],
  );
});
