/**
 * A user's own workers beside a model's: found, called in turn, at random and by name, over HTTP, gRPC and from each other; bad
 * code, killed and drained processes, a platform that restarts.
 */
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { credentials, Client as GrpcClient, Metadata } from '@grpc/grpc-js';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { connect } from '../../gpu-sidecar/component/index.ts';
import {
  type ComponentCall,
  ComponentCallSchema,
  type ComponentItem,
  ComponentItemSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/component_pb.js';
import { type CommandProcess, command } from '../harness/component-process.ts';
import { deploy, eventually } from '../harness/deployment.ts';

const GREETER = join(PROJECT_ROOT, 'test', 'e2e', 'components', 'greeter.ts');

interface Listed {
  address: string;
  instance_id: string;
  http: string | null;
  grpc: string | null;
}

let deployment: Deployment;
let url: string;

async function list(prefix: string): Promise<Listed[]> {
  const response = await fetch(`${url}/discovery/v1/instances?prefix=${prefix}`);
  return ((await response.json()) as { instances: Listed[] }).instances;
}

function call(endpoint: string, input: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const path = endpoint.includes('/') ? endpoint : `default/greeter/${endpoint}`;
  return fetch(`${url}/components/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(input),
  });
}

async function error(response: Response): Promise<{ status: number; code: string; message: string }> {
  const body = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, ...body.error };
}

async function greeter(env: Record<string, string> = {}): Promise<CommandProcess & { instance: string }> {
  const { fleetToken } = deployment.settings;
  const args = ['run-component', GREETER, '--platform', deployment.control.url, '--fleet-token', fleetToken];
  const started = command(args, env);
  return { ...started, instance: (await started.event('serving'))['instance'] as string };
}

describe("a user's own workers", () => {
  let first: Awaited<ReturnType<typeof greeter>>;
  let second: Awaited<ReturnType<typeof greeter>>;

  beforeAll(async () => {
    deployment = await deploy({ engine: 'mock', workers: 1, engineSpeedup: 0 });
    url = deployment.url;
    [first, second] = await Promise.all([greeter(), greeter()]);
  }, 120_000);

  it('are listed with the endpoints of the models', async () => {
    const instances = await list('default/greeter/hello');
    expect(instances.map(({ instance_id }) => instance_id).sort()).toEqual(
      [first.instance, second.instance].sort(),
    );
    expect(instances[0]).toMatchObject({
      address: 'dyn://default.greeter.hello',
      http: expect.stringMatching(/^http:/),
    });
    const backend = (await list('dyn://default.backend')).map(({ address }) => address);
    const names = ['clear_kv_blocks', 'detokenize', 'embed', 'generate', 'health', 'kv_index', 'tokenize'];
    expect(backend).toEqual(names.map((name) => `dyn://default.backend.${name}`));
    expect(await list('nowhere')).toEqual([]);
  });

  it('take calls in turn, at random and by name', async () => {
    const seen = new Set<unknown>();
    for (let i = 0; i < 4; i++) {
      const response = await call('hello', { name: 'World' });
      expect(await response.json()).toMatchObject({ text: 'Hello, World!' });
      seen.add(response.headers.get('x-stator-worker'));
    }
    expect(seen).toEqual(new Set([first.instance, second.instance]));
    for (let i = 0; i < 3; i++) {
      const response = await call('hello', { name: 'you' }, { 'x-stator-instance': second.instance });
      expect(response.headers.get('x-stator-worker')).toBe(second.instance);
      await response.body?.cancel();
    }
    expect((await call('hello', { name: 'any' }, { 'x-stator-routing-mode': 'random' })).status).toBe(200);
    const nobody = await call(
      'hello',
      {},
      { 'x-stator-routing-mode': 'direct', 'x-stator-instance': 'dead' },
    );
    expect(await error(nobody)).toMatchObject({ status: 404, code: 'not_found' });
  });

  it('stream as events or as lines, each with an end that cannot be missed', async () => {
    const events = await (await call('count', { to: 2 })).text();
    expect(events).toBe('data: {"i":1}\n\ndata: {"i":2}\n\ndata: [DONE]\n\n');
    const lines = await (await call('count', { to: 2 }, { accept: 'application/x-ndjson' })).text();
    expect(lines).toBe('{"data":{"i":1}}\n{"data":{"i":2}}\n{"event":"done"}\n');
    const broken = await (await call('halves', null)).text();
    expect(broken).toMatch(
      /^data: 1\n\nevent: error\ndata: \{"error":\{"message":"endpoint halves threw Error: half way"/,
    );
    expect(broken).not.toContain('[DONE]');
  });

  it('take and give bytes', async () => {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: new Uint8Array(200),
    };
    const response = await fetch(`${url}/components/v1/default/greeter/size`, init);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array([200]));
  });

  it('answer for bad code with an error, and live', async () => {
    const said = async (endpoint: string) => error(await call(endpoint, null));
    expect(await said('throws')).toMatchObject({
      status: 500,
      code: 'engine_error',
      message: expect.stringContaining('as written'),
    });
    expect(await said('circular')).toMatchObject({
      status: 500,
      message: expect.stringContaining('no JSON'),
    });
    expect(await said('function')).toMatchObject({
      status: 500,
      message: expect.stringContaining('a function'),
    });
    const late = await error(await call('never', null, { 'x-stator-timeout-ms': '50' }));
    expect(late).toMatchObject({ status: 504, code: 'deadline_exceeded' });
    for (let i = 0; i < 2; i++) expect(await (await call('late', null)).json()).toBe('answered');
    expect(await error(await call('hello', undefined, { 'content-type': 'application/json' }))).toMatchObject(
      { status: 500 },
    );
    const unreadable = await fetch(`${url}/components/v1/default/greeter/hello`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{',
    });
    expect(await error(unreadable)).toMatchObject({ status: 400, code: 'invalid_json' });
    for (let i = 0; i < 2; i++) expect((await call('hello', { name: 'still' })).status).toBe(200);
    expect([first.child.exitCode, second.child.exitCode]).toEqual([null, null]);
  });

  it('refuse what is not there in the words of the caller', async () => {
    expect(await error(await call('nothing', {}))).toMatchObject({ status: 503, code: 'no_workers' });
    expect(await error(await call('default/greeter/a b', {}))).toMatchObject({ status: 400 });
    expect(await error(await call('hello', {}, { 'x-stator-routing-mode': 'nearest' }))).toMatchObject({
      status: 400,
    });
    expect(await error(await call('hello', {}, { 'x-stator-timeout-ms': 'soon' }))).toMatchObject({
      status: 400,
    });
    expect(await error(await call('default/backend/kv_index', {}))).toMatchObject({
      code: 'unsupported_parameter',
    });
    expect((await fetch(`${url}/discovery/v1/instances?prefix=a/b/c/d`)).status).toBe(400);
  });

  it('hear the headers of the caller, but no keys', async () => {
    const response = await call('headers', null, {
      'x-tenant': 'blue',
      authorization: 'Bearer mine',
      'x-request-id': 'r1',
    });
    const { headers, requestId } = (await response.json()) as {
      headers: Record<string, string>;
      requestId: string;
    };
    expect(headers).toMatchObject({ 'x-tenant': 'blue' });
    expect(JSON.stringify(headers)).not.toMatch(/Bearer|mine/);
    expect(requestId).toBe('r1');
  });

  it('are told when their caller leaves', async () => {
    const direct = { 'x-stator-instance': first.instance };
    const before = Number(await (await call('cancelled', null, direct)).json());
    const { http } = (await list('default/greeter/never')).find(
      ({ instance_id }) => instance_id === first.instance,
    )!;
    const left = new AbortController();
    const headers = { authorization: `Bearer ${deployment.settings.fleetToken}` };
    const waiting = fetch(http!, { method: 'POST', headers, signal: left.signal });
    left.abort();
    await expect(waiting).rejects.toThrow();
    const again = () => fetch(http!, { method: 'POST', headers: { ...headers, 'x-stator-timeout-ms': '1' } });
    await (await again()).body?.cancel();
    await eventually('the signal', async () =>
      Number(await (await call('cancelled', null, direct)).json()) > before ? true : null,
    );
  });

  it('call each other', async () => {
    const answers = (await (await call('calls', { times: 4 })).json()) as { pid: number }[];
    expect(new Set(answers.map(({ pid }) => pid)).size).toBe(2);
  });

  it('are called by other Node processes and by gRPC', async () => {
    const { fleetToken } = deployment.settings;
    const stator = connect({ discovery: `object:${deployment.control.url}`, fleetToken });
    const count = stator.client('dyn://default.greeter.count');
    await count.available();
    const items: unknown[] = [];
    for await (const item of count.stream({ to: 3 })) items.push(item);
    expect(items).toEqual([{ i: 1 }, { i: 2 }, { i: 3 }]);
    const hello = stator.client('default/greeter/hello');
    expect(await hello.direct(first.instance, { name: 'first' })).toMatchObject({ pid: first.child.pid });
    expect(await hello.random({ name: 'any' })).toMatchObject({ text: 'Hello, any!' });
    const health = stator.client('default.backend.health');
    expect(await health.call({})).toMatchObject({ phase: 'serving' });
    const broken = stator.client('default.greeter.halves').stream(null);
    expect(await broken.next()).toEqual({ value: 1, done: false });
    await expect(broken.next()).rejects.toMatchObject({ code: 'engine_error' });
    await stator.close();

    const { grpc } = (await list('default/greeter/count'))[0]!;
    const [, address, method] = /^([^/]+)(\/.*)$/.exec(grpc!)!;
    const client = new GrpcClient(address!, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${fleetToken}`);
    const request = create(ComponentCallSchema, { endpoint: 'count', data: Buffer.from('{"to":2}') });
    const stream = client.makeServerStreamRequest(
      method!,
      (message: ComponentCall) => Buffer.from(toBinary(ComponentCallSchema, message)),
      (bytes: Buffer) => fromBinary(ComponentItemSchema, bytes),
      request,
      metadata,
    );
    const texts: string[] = [];
    for await (const { data } of stream as AsyncIterable<ComponentItem>)
      texts.push(Buffer.from(data).toString());
    expect(texts).toEqual(['{"i":1}', '{"i":2}']);
    client.close();
  });

  it('are called without a failure while one is killed, drained, or comes', async () => {
    const watch = command(['watch', 'default.greeter.hello', '--url', url]);
    await eventually('the list', async () => (watch.events.length === 2 ? true : null));
    const statuses: number[] = [];
    let busy = true;
    const load = (async () => {
      while (busy) {
        const response = await call('hello', { name: 'load' });
        statuses.push(response.status);
        await response.body?.cancel();
      }
    })();
    await second.stop('SIGKILL');
    await eventually('the list without it', async () =>
      (await list('default/greeter/hello')).length === 1 ? true : null,
    );
    const third = await greeter();
    await eventually('the list with another', async () =>
      (await list('default/greeter/hello')).length === 2 ? true : null,
    );

    const direct = { 'x-stator-instance': first.instance };
    const last = call('last', null, direct);
    await eventually('the call being there', async () =>
      (await (await call('lasting', null, direct)).json()) === 1 ? true : null,
    );
    expect(await first.stop('SIGTERM')).toBe(0);
    expect(await (await last).json()).toBe('all the same');
    busy = false;
    await load;
    expect(statuses.length).toBeGreaterThan(4);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    await eventually('the changes', async () => {
      const said = watch.events.map(({ event, instance }) => `${event} ${instance}`);
      const wanted = [`removed ${second.instance}`, `added ${third.instance}`, `removed ${first.instance}`];
      return wanted.every((line) => said.includes(line)) ? true : null;
    });

    process.kill(deployment.platform.pid as number, 'SIGKILL');
    await watch.event('away');
    await watch.event('connected');
    await eventually('an answer', async () => {
      const response = await call('hello', { name: 'again' }).catch(() => null);
      return response?.status === 200 && response.headers.get('x-stator-worker') === third.instance
        ? true
        : null;
    });
    await watch.stop('SIGINT');
    expect(await third.stop('SIGINT')).toBe(0);
  });
});
