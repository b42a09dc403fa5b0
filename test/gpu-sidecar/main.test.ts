/** The sidecar as a process, with the mock engine: what it prints, how it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterEach, expect, test } from 'vitest';
import { RejectedSchema } from '../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import {
  DrainRequestSchema,
  GenerateRequestSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { ScriptedRouter } from '../harness/scripted-router.ts';
import { soon } from '../harness/soon.ts';
import { packed, requestOf } from './server/worker-of.ts';

const MAIN = fileURLToPath(new URL('../../gpu-sidecar/main.ts', import.meta.url).href);

interface Line {
  event: string;
  phase?: string;
  http?: string;
  grpc?: string;
  instance?: string;
  code?: string;
  message?: string;
}

class SidecarProcess {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];
  readonly exit: Promise<number | null>;

  constructor(env: Record<string, string>) {
    this.child = spawn(process.execPath, [MAIN], {
      env: { STATOR_ENGINE: 'mock', STATOR_FLEET_TOKEN: 'secret', STATOR_LOG_LEVEL: 'error', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.lines.push(JSON.parse(line)));
    this.exit = once(this.child, 'close').then(([code]) => code as number | null);
  }

  get phases(): (string | undefined)[] {
    return this.lines.filter(({ event }) => event === 'phase').map(({ phase }) => phase);
  }

  serving(): Promise<Line> {
    return soon(() => {
      const line = this.lines.find(({ phase }) => phase === 'serving');
      expect(line).toBeDefined();
      return line!;
    });
  }

  generate(line: Line, maxTokens: number): Promise<Response> {
    const request = requestOf({ tokenIds: packed([300, 301, 302]), stop: { maxTokens, ignoreEos: true } });
    return fetch(`${line.http}/stator.v1.Worker/Generate`, {
      method: 'POST',
      headers: { authorization: 'Bearer secret' },
      body: toBinary(GenerateRequestSchema, request),
    });
  }
}

const processes: SidecarProcess[] = [];

function start(env: Record<string, string>): SidecarProcess {
  const sidecar = new SidecarProcess(env);
  processes.push(sidecar);
  return sidecar;
}

afterEach(async () => {
  for (const { child } of processes) child.kill('SIGKILL');
  await Promise.all(processes.splice(0).map(({ exit }) => exit));
});

const platform = (router: ScriptedRouter) => ({ STATOR_PLATFORM_URL: `http://127.0.0.1:${router.port}` });

test('it says every phase, serves, and a SIGTERM lets the running request finish', async () => {
  await using router = await ScriptedRouter.open();
  const sidecar = start({ ...platform(router), STATOR_MOCK_DECODE_MS: '20' });
  const line = await sidecar.serving();
  expect(line).toMatchObject({
    http: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    grpc: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    instance: router.of('register')[0]!.value.instanceId,
  });
  const response = await sidecar.generate(line, 20);
  sidecar.child.kill('SIGTERM');
  const text = await response.text();
  expect(text).toMatch(/data: \[DONE\]\n\n$/);
  expect(await sidecar.exit).toBe(0);
  expect(sidecar.phases).toEqual(['starting', 'registered', 'serving', 'draining', 'gone']);
  expect(router.of('draining')).toHaveLength(1);
  expect(router.closes).toEqual([1000]);
});

test('a drain with a deadline breaks off what is not finished, so that another worker continues it', async () => {
  await using router = await ScriptedRouter.open();
  const sidecar = start({ ...platform(router), STATOR_MOCK_DECODE_MS: '20' });
  const line = await sidecar.serving();
  const response = await sidecar.generate(line, 4_000);
  const drained = await fetch(`${line.http}/stator.v1.Worker/Drain`, {
    method: 'POST',
    headers: { authorization: 'Bearer secret' },
    body: toBinary(DrainRequestSchema, create(DrainRequestSchema, { deadlineMs: 100 })),
  });
  expect(drained.status).toBe(200);
  await expect(response.text()).rejects.toThrow('terminated');
  expect(await sidecar.exit).toBe(0);
});

test('it ends with its parent', async () => {
  await using router = await ScriptedRouter.open();
  const sidecar = start({ ...platform(router), STATOR_PARENT_STDIN: '1' });
  await sidecar.serving();
  sidecar.child.stdin!.end();
  expect(await sidecar.exit).toBe(0);
  expect(sidecar.phases.at(-1)).toBe('gone');
});

test('a worker that the router will never take says why and exits 1', async () => {
  await using router = await ScriptedRouter.open();
  router.onRegister = {
    case: 'rejected',
    value: create(RejectedSchema, { code: 'card_mismatch', message: 'another card of this name is served' }),
  };
  const sidecar = start(platform(router));
  expect(await sidecar.exit).toBe(1);
  expect(sidecar.lines.at(-1)).toEqual({
    event: 'error',
    code: 'card_mismatch',
    message: 'another card of this name is served',
  });
});

test.each([
  ['no fleet token', { STATOR_FLEET_TOKEN: '' }, 'STATOR_FLEET_TOKEN'],
  ['a setting that is no number', { STATOR_BLOCK_SIZE: 'many' }, 'STATOR_BLOCK_SIZE'],
  ['an engine that does not exist', { STATOR_ENGINE: 'magic' }, 'STATOR_ENGINE'],
  ['a port that is none', { STATOR_SIDECAR_PORT: '70000' }, 'STATOR_SIDECAR_PORT'],
  ['a platform that is no URL', { STATOR_PLATFORM_URL: 'nowhere' }, 'STATOR_PLATFORM_URL'],
  [
    'a tokenizer that is not there',
    { STATOR_TOKENIZER: '/no/such/tokenizer.json' },
    '/no/such/tokenizer.json',
  ],
])('%s is one clear line and exit 1', async (_, env, named) => {
  const sidecar = start(env);
  expect(await sidecar.exit).toBe(1);
  const errors = sidecar.lines.filter(({ event }) => event === 'error');
  expect(errors).toHaveLength(1);
  expect(errors[0]!.message).toContain(named);
});

test('a port in use is one clear line and exit 1', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const sidecar = start({ STATOR_SIDECAR_PORT: String(port) });
  expect(await sidecar.exit).toBe(1);
  expect(sidecar.lines.at(-1)!.message).toContain(`127.0.0.1:${port}`);
  taken.close();
});
