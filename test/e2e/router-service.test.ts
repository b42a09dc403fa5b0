/** The router's endpoints with real processes: decisions and generation over HTTP and native gRPC, and why. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, expect, it } from 'vitest';
import { HttpBodySchema } from '../../gpu-sidecar/proto/gen/google/api/httpbody_pb.js';
import {
  BestWorkerIdRequestSchema,
  BestWorkerIdResponseSchema,
  RouterGenerateRequestSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/router_pb.js';
import { deploy, eventually, statusOf } from '../harness/deployment.ts';

const MODEL = 'mock';
const TOKENS = Array.from({ length: 64 }, (_, i) => 10 + i);
const packed = new Uint8Array(Uint32Array.from(TOKENS).buffer);
const asIs = (bytes: Buffer) => bytes;

const clients: Client[] = [];
afterAll(() => {
  for (const client of clients) client.close();
});

it('one prefix, one worker: HTTP and native gRPC agree on it and say why', async () => {
  const apiKey = 'sk-stator-e2e';
  const deployment = await deploy({
    workers: 2,
    engine: 'mock',
    modelName: MODEL,
    engineSpeedup: 0,
    apiKey,
  });
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
  const post = (path: string, body: object) =>
    fetch(deployment.url + path, { method: 'POST', headers, body: JSON.stringify(body) });

  const first = await post('/router/generate', {
    model: MODEL,
    token_ids: TOKENS,
    stop_conditions: { max_tokens: 2 },
  });
  const owner = first.headers.get('x-stator-worker');
  expect(await first.text()).toContain('[DONE]');
  await eventually('the index to hear of the prefix', async () =>
    (await statusOf(deployment)).indexBlocks >= 4 ? true : null,
  );

  const best = (await (await post('/router/best_worker_id', { model: MODEL, token_ids: TOKENS })).json()) as {
    worker_id: string;
    overlap_blocks: number;
    candidates: unknown[];
  };
  expect(best).toMatchObject({ worker_id: owner, overlap_blocks: 4 });
  expect(best.candidates).toHaveLength(2);

  const { grpcAddress } = (await statusOf(deployment)).workers[0]!;
  const client = new Client(grpcAddress, credentials.createInsecure());
  clients.push(client);
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${apiKey}`);
  const asked = create(BestWorkerIdRequestSchema, { model: MODEL, tokenIds: packed });
  const answer = await new Promise<Buffer>((resolve, reject) => {
    const bytes = Buffer.from(toBinary(BestWorkerIdRequestSchema, asked));
    const method = '/stator.v1.Router/BestWorkerId';
    client.makeUnaryRequest(method, asIs, asIs, bytes, metadata, {}, (error, value) =>
      error ? reject(error) : resolve(value!),
    );
  });
  expect(fromBinary(BestWorkerIdResponseSchema, answer)).toMatchObject({ workerId: owner, overlapBlocks: 4 });

  const generate = create(RouterGenerateRequestSchema, {
    model: MODEL,
    tokenIds: packed,
    stop: { maxTokens: 3 },
  });
  const request = Buffer.from(toBinary(RouterGenerateRequestSchema, generate));
  let text = '';
  const stream = client.makeServerStreamRequest(
    '/stator.v1.Router/Generate',
    asIs,
    asIs,
    request,
    metadata,
    {},
  );
  for await (const bytes of stream) {
    text += Buffer.from(fromBinary(HttpBodySchema, bytes as Buffer).data).toString();
  }
  expect(text).toContain('[DONE]');
}, 120_000);
