/** Where requests go and why, as clients see it: wishes, queries, explanations, the router's endpoints, thresholds. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import {
  BestWorkerIdRequestSchema,
  BestWorkerIdResponseSchema,
  RouterGenerateRequestSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/router_pb.js';
import { batchFrame } from '../../durable/router/fleet-worker.ts';
import {
  API_KEY,
  errorOf,
  FLEET_TOKEN,
  inFlight,
  platform,
  post,
  type Scenario,
  scenario,
} from './scenario.ts';

const TOKENS = Array.from({ length: 40 }, (_, i) => i + 1);
const json = async (response: Response) => (await response.json()) as Record<string, never>;
const alive = ({ clients }: Scenario) => {
  for (const client of clients) client.send(batchFrame({}));
};

test('a pinned worker answers, by field and by header', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }], workers: 3 });
  const [, , last] = run.workers;
  const byField = await run.chat({ nvext: { backend_instance_id: last } });
  expect(byField.headers.get('x-stator-worker')).toBe(last);
  await byField.text();
  const body = { model: run.model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 5 };
  const byHeader = await post('/v1/chat/completions', body, { 'x-worker-instance-id': last! });
  expect(byHeader.headers.get('x-stator-worker')).toBe(last);
  await byHeader.text();
});

test('an unknown pinned worker, an unknown override and an adapter that nobody has are clear errors', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }] });
  const unknown = await run.chat({ nvext: { backend_instance_id: 'dead' } });
  expect(unknown.status).toBe(503);
  expect(await errorOf(unknown)).toMatchObject({
    code: 'worker_unavailable',
    param: 'nvext.backend_instance_id',
    message: expect.stringContaining('dead'),
  });
  const override = await run.chat({ nvext: { router_config_override: { overlap: 1 } } });
  expect(override.status).toBe(400);
  expect(await errorOf(override)).toMatchObject({ param: 'nvext.router_config_override.overlap' });
  const adapter = await run.chat({ nvext: { lora_name: 'poet' } });
  expect(adapter.status).toBe(503);
  expect(await errorOf(adapter)).toMatchObject({
    message: expect.stringContaining('poet'),
    param: 'nvext.lora_name',
  });
});

test('a query is answered without a worker: the decision, the tokens, the reasons', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }], workers: 2 });
  const nvext = { annotations: ['query_instance_id:'], extra_fields: ['routing'] };
  const answer = await json(await run.chat({ stream: false, nvext }));
  expect(answer).toMatchObject({ object: 'chat.completion', choices: [], model: run.model });
  const said = answer['nvext'] as unknown as {
    worker_id: { decode_worker_id: string };
    token_ids: number[];
    routing: { candidates: { worker: string; cost: number }[] };
  };
  expect(run.workers).toContain(said.worker_id.decode_worker_id);
  expect(said.token_ids.length).toBeGreaterThan(0);
  expect(said.routing.candidates.map(({ worker }) => worker).sort()).toEqual([...run.workers].sort());
  const stream = await (await run.chat({ nvext })).text();
  expect(stream).toMatch(/^data: \{.*"chat\.completion\.chunk".*\}\n\ndata: \[DONE\]\n\n$/s);
  expect((await run.log()).generate).toEqual([]);
  expect(await inFlight(run)).toBe(0);
});

test('an answer says why its worker was chosen, when asked', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }], workers: 2 });
  for (const stream of [true, false]) {
    const response = await run.chat({ stream, nvext: { extra_fields: ['routing'] } });
    const routing = JSON.parse(response.headers.get('x-stator-routing')!);
    expect(routing.worker).toBe(response.headers.get('x-stator-worker'));
    expect(routing.candidates).toHaveLength(2);
    expect(routing.candidates[0]).toMatchObject({
      cost: expect.any(Number),
      potential_decode_blocks: expect.any(Number),
    });
    await response.text();
  }
  const plain = await run.chat();
  expect(plain.headers.has('x-stator-routing')).toBe(false);
  await plain.text();
});

test('salt keeps tenants apart: the hashes differ, and the worker is told the seed', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }] });
  const content = 'a prompt of more than one block '.repeat(20);
  const ask = async (nvext: unknown) => {
    await (await run.chat({ messages: [{ role: 'user', content }], nvext })).text();
  };
  await ask(undefined);
  await ask({ cache_salt: 'tenant-1' });
  await ask({ cache_salt: 'tenant-1' });
  const [plain, salted, again] = (await run.log()).generate;
  expect(plain!.hashSeed).toBe('0');
  // semantics §2.5
  expect(salted!.hashSeed).toBe('13131544620552358486');
  expect(salted!.blockHashes).not.toBe(plain!.blockHashes);
  expect(again!.blockHashes).toBe(salted!.blockHashes);
});

test('best_worker_id decides for token ids and reserves nothing', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }], workers: 2 });
  alive(run);
  const body = { model: run.model, token_ids: TOKENS, allowed_worker_ids: [run.workers[1]] };
  const answer = await json(await post('/router/best_worker_id', body));
  expect(answer).toMatchObject({ worker_id: run.workers[1], dp_rank: 0, overlap_blocks: 0 });
  expect(answer['candidates']).toHaveLength(1);
  expect(await inFlight(run)).toBe(0);
  const wrong = await post('/router/best_worker_id', { ...body, token_id: [1] });
  expect(await errorOf(wrong)).toMatchObject({ code: 'invalid_request', param: 'token_id' });
});

test('generate runs token ids on the worker that the router chooses', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }], workers: 2 });
  alive(run);
  const response = await post('/router/generate', {
    model: run.model,
    token_ids: TOKENS,
    stop_conditions: { max_tokens: 7, ignore_eos: true },
    sampling_options: { temperature: 0, seed: 3 },
    routing: { backend_instance_id: run.workers[1], expected_output_tokens: 5 },
  });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  expect(await response.text()).toContain('[DONE]');
  const [call] = (await run.log()).generate;
  expect(call).toMatchObject({ worker: run.workers[1], tokenIds: TOKENS, maxTokens: 7, seed: '3' });
});

test('thresholds are read and changed by model; overloaded workers are refused with 529', async () => {
  const run = await scenario({ steps: [{ kind: 'hold' }] });
  const off = {
    model: run.model,
    active_decode_blocks_threshold: null,
    active_prefill_tokens_threshold: null,
    active_prefill_tokens_threshold_frac: null,
  };
  const list = (await json(await platform('/busy_threshold')))['thresholds'] as unknown as object[];
  expect(list).toContainEqual(off);
  const change = { model: run.model, active_prefill_tokens_threshold: 1 };
  expect(await json(await post('/busy_threshold', change))).toEqual({
    ...off,
    active_prefill_tokens_threshold: 1,
  });
  alive(run);
  const first = run.chat();
  await run.logged(({ generate }) => generate.length === 1);
  const second = await run.chat();
  expect(second.status).toBe(529);
  expect(await errorOf(second)).toMatchObject({ code: 'overloaded', type: 'overloaded_error' });
  const relaxed = { model: run.model, active_prefill_tokens_threshold: 'off' };
  expect(await json(await post('/busy_threshold', relaxed))).toEqual(off);
  await run.release();
  await (await first).text();
});

test('a threshold out of its range, a misspelt one and an unknown model are refused by name', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }] });
  const wrong = { model: run.model, active_decode_blocks_threshold: 2 };
  const range = await post('/busy_threshold', wrong);
  expect(range.status).toBe(400);
  expect(await errorOf(range)).toMatchObject({ param: 'active_decode_blocks_threshold' });
  const misspelt = await post('/busy_threshold', { model: run.model, active_decode_blocks: 1 });
  expect(await errorOf(misspelt)).toMatchObject({ param: 'active_decode_blocks' });
  expect((await post('/busy_threshold', { model: 'nobody' })).status).toBe(404);
});

describe('the gRPC service over HTTP/1.1', () => {
  const packed = new Uint8Array(Uint32Array.from(TOKENS).buffer);
  const call = (method: string, body: Uint8Array, headers: Record<string, string> = {}) =>
    platform(`/stator.v1.Router/${method}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/proto', ...headers },
    });
  const bestWorkerBytes = (model: string, routing = {}) =>
    toBinary(
      BestWorkerIdRequestSchema,
      create(BestWorkerIdRequestSchema, { model, tokenIds: packed, routing }),
    );

  test('BestWorkerId with bare messages, for the fleet and for clients', async () => {
    const run = await scenario({ steps: [{ kind: 'answer' }], workers: 2 });
    alive(run);
    const bytes = bestWorkerBytes(run.model, {
      backendInstanceId: run.workers[1],
      routerConfigOverride: { routerTemperature: 1 },
    });
    for (const key of [API_KEY, FLEET_TOKEN]) {
      const response = await call('BestWorkerId', bytes, { authorization: `Bearer ${key}` });
      expect(response.headers.get('content-type')).toBe('application/proto');
      const answer = fromBinary(BestWorkerIdResponseSchema, new Uint8Array(await response.arrayBuffer()));
      expect(answer).toMatchObject({ workerId: run.workers[1], dpRank: 0 });
      expect(answer.candidates).toHaveLength(1);
    }
    expect((await call('BestWorkerId', bytes, { authorization: 'Bearer stranger' })).status).toBe(401);
    const broken = await call('BestWorkerId', new Uint8Array([0xff]));
    expect(broken.status).toBe(400);
    expect(broken.headers.get('x-stator-code')).toBe('invalid_frame');
  });

  test('BestWorkerId with gRPC-Web: frames both ways, errors as trailers', async () => {
    const run = await scenario({ steps: [{ kind: 'answer' }] });
    alive(run);
    const web = { 'content-type': 'application/grpc-web+proto' };
    const frameOf = (bytes: Uint8Array) => {
      const frame = new Uint8Array(5 + bytes.length);
      new DataView(frame.buffer).setUint32(1, bytes.length);
      frame.set(bytes, 5);
      return frame;
    };
    const good = await call('BestWorkerId', frameOf(bestWorkerBytes(run.model)), web);
    const bytes = new Uint8Array(await good.arrayBuffer());
    const length = new DataView(bytes.buffer).getUint32(1);
    const answer = fromBinary(BestWorkerIdResponseSchema, bytes.subarray(5, 5 + length));
    expect(answer.workerId).toBe(run.workers[0]);
    expect(new TextDecoder().decode(bytes.subarray(10 + length))).toBe('grpc-status:0\r\n');
    for (const wrong of [frameOf(bestWorkerBytes('nobody')), new Uint8Array(3)]) {
      const refused = await call('BestWorkerId', wrong, web);
      expect(refused.status).toBe(200);
      expect(await refused.text()).toMatch(/grpc-status:[53]\r\ngrpc-message:/);
    }
  });

  test("Generate's stream is the body itself", async () => {
    const run = await scenario({ steps: [{ kind: 'answer' }] });
    alive(run);
    const request = create(RouterGenerateRequestSchema, {
      model: run.model,
      tokenIds: packed,
      sampling: { temperature: 0.5, seed: 9n },
      stop: { maxTokens: 6, stop: ['END'] },
      routing: { cacheNamespace: 'tenant-1', expectedOutputTokens: 4 },
    });
    const response = await call('Generate', toBinary(RouterGenerateRequestSchema, request));
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(await response.text()).toContain('[DONE]');
    const [seen] = (await run.log()).generate;
    expect(seen).toMatchObject({
      tokenIds: TOKENS,
      maxTokens: 6,
      seed: '9',
      stop: ['END'],
      hashSeed: '13131544620552358486',
    });
    const document = create(RouterGenerateRequestSchema, { ...request, unary: true });
    const unary = await call('Generate', toBinary(RouterGenerateRequestSchema, document));
    expect(unary.headers.get('content-type')).toBe('application/json');
    await unary.text();
  });
});
