/**
 * A client that leaves, in every phase, before a real workerd with scripted sidecars: the sidecar is aborted, nothing
 * migrates, nothing stays in flight. And what a break of the worker costs: no uncaught error in workerd's log.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import WebSocket from 'ws';
import { buildBundle } from '../../cli/launch/bundle.ts';
import { Deployment, workerdLauncher } from '../../cli/launch/deployment.ts';
import { freePort } from '../../cli/launch/ports.ts';
import { resolveSettings } from '../../durable/runtime/config.ts';
import { ModelInput, ModelType } from '../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { batchFrame, dumpFrame, registerFrame } from '../durable/router/fleet-worker.ts';
import { eventually, metric } from '../harness/deployment.ts';
import { type ScriptedSidecars, startScriptedSidecars } from '../workers/functions/scripted-sidecar.ts';
import type { ScenarioLog, Step } from '../workers/functions/sidecar-script.ts';

let deployment: Deployment;
let sidecars: ScriptedSidecars;
let stopSidecars: () => Promise<void>;
const sockets: { socket: WebSocket; heartbeat: NodeJS.Timeout }[] = [];

beforeAll(async () => {
  ({ sidecars, stop: stopSidecars } = await startScriptedSidecars());
  const settings = { ...resolveSettings([]), port: await freePort(), fleetToken: 'fleet' };
  deployment = new Deployment(settings, workerdLauncher(await buildBundle()));
  await deployment.startPlatform();
}, 60_000);

afterAll(async () => {
  for (const { socket, heartbeat } of sockets) {
    clearInterval(heartbeat);
    socket.terminate();
  }
  await deployment.stop(2_000);
  await stopSidecars();
}, 30_000);

/** A model of two scripted workers. */
async function scripted(name: string, steps: Step[], document: 'with-length' | 'chunked' = 'chunked') {
  const pieces = Array.from({ length: 40 }, (_, index) => ({ text: ` word${index}`, tokenIds: [index] }));
  const script = JSON.stringify({ pieces, steps, document });
  await fetch(`${sidecars.origin}/script/${name}`, { method: 'PUT', body: script });
  await Promise.all([1, 2].map((worker) => dialIn(name, `${'0'.repeat(8)}${hash(name)}${worker}`)));
  await eventually(`${name} to be ready`, async () => {
    const response = await fetch(`${deployment.url}/v1/models/${name}`);
    return ((await response.json()) as { workers?: number }).workers === 2 || null;
  });
  return {
    log: async () => (await (await fetch(`${sidecars.origin}/log/${name}`)).json()) as ScenarioLog,
    release: () => fetch(`${sidecars.origin}/release/${name}`),
  };
}

const hash = (name: string) =>
  [...name]
    .reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 0xfff_ffff, 7)
    .toString(16)
    .padStart(7, '0');

/** Dials in and stays. */
function dialIn(model: string, instanceId: string): Promise<void> {
  const url = `${deployment.url.replace('http', 'ws')}/fleet/v1/default`;
  const socket = new WebSocket(url, 'stator.fleet.v1', { headers: { authorization: 'Bearer fleet' } });
  const heartbeat = setInterval(
    () => socket.readyState === WebSocket.OPEN && socket.send(batchFrame({})),
    1_000,
  );
  sockets.push({ socket, heartbeat });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => {
      socket.send(
        registerFrame({
          instanceId,
          httpAddress: `${sidecars.origin}/s/${model}/${instanceId}`,
          card: {
            name: model,
            contextLengthTokens: 256,
            kvCacheBlockSize: 16,
            migrationLimit: 3,
            modelInput: ModelInput.TOKENS,
            modelTypes: [ModelType.CHAT],
            tokenizer: { sha256: sidecars.tokenizerSha256, sizeBytes: 1n },
            chatTemplate: { sha256: sidecars.templateSha256, sizeBytes: 1n },
          },
        }),
      );
      socket.send(dumpFrame([]));
      resolve();
    });
  });
}

/** Sends a request on a raw socket and hangs up once `enough` says so of what has come; resolves with that. */
function hangUp(
  model: string,
  stream: boolean,
  enough: (received: string) => boolean | Promise<boolean>,
): Promise<string> {
  const body = JSON.stringify({
    model,
    stream,
    max_tokens: 50,
    messages: [{ role: 'user', content: 'hello' }],
  });
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect({ host: '127.0.0.1', port: deployment.settings.port });
    const consider = async () => {
      if (!(await enough(received))) return;
      socket.destroy();
      resolve(received);
    };
    socket.on('error', reject);
    socket.on('data', (data) => {
      received += data.toString('latin1');
      consider().catch(reject);
    });
    socket.on('connect', () => {
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      consider().catch(reject);
    });
  });
}

/** The one call was aborted, nobody else was asked, and the counters are back. */
async function leftAlone(model: string, log: () => Promise<ScenarioLog>): Promise<void> {
  await eventually(
    'the sidecar to be aborted',
    async () => (await log()).generate[0]?.aborted || null,
    4_000,
  );
  const name = new RegExp(`^stator_frontend_inflight_requests\\{model="${model}"\\}`);
  await eventually('nothing to be in flight', async () => (await metric(deployment, name)) === 0 || null);
  expect((await log()).generate.length).toBe(1);
  expect(await metric(deployment, new RegExp(`model_migration_total\\{model="${model}"`))).toBe(0);
  const cancelled = new RegExp(`frontend_requests_total\\{model="${model}".*status="cancelled"`);
  expect(await metric(deployment, cancelled)).toBe(1);
}

/** The request has reached a worker. */
const reached = (log: () => Promise<ScenarioLog>) => () =>
  eventually('a worker to be called', async () => (await log()).generate.length > 0 || null);

test('gone in decode', async () => {
  const { log } = await scripted('decode', [{ kind: 'trickle', at: 900 }, { kind: 'answer' }]);
  const received = await hangUp('decode', true, (text) => text.includes('word3'));
  expect(received).toContain('text/event-stream');
  await leftAlone('decode', log);
});

test('gone before the first byte, in queue or prefill', async () => {
  const { log } = await scripted('prefill', [{ kind: 'hold' }, { kind: 'answer' }]);
  await hangUp('prefill', true, reached(log));
  await leftAlone('prefill', log);
});

test('gone between two comments', async () => {
  const { log } = await scripted('comments', [{ kind: 'hold' }, { kind: 'answer' }]);
  await hangUp('comments', true, (text) => text.includes(': keep-alive'));
  await leftAlone('comments', log);
});

test('gone while a plain answer is computed', async () => {
  const { log } = await scripted('plain', [{ kind: 'trickle', at: 0 }, { kind: 'answer' }]);
  await hangUp('plain', false, (text) => text.includes('x-stator-worker'));
  await leftAlone('plain', log);
});

test('gone before a plain answer has begun', async () => {
  const { log } = await scripted('unbegun', [{ kind: 'hold' }, { kind: 'answer' }], 'with-length');
  await hangUp('unbegun', false, reached(log));
  await leftAlone('unbegun', log);
});

test('a client that reads slowly loses nothing when its worker breaks', async () => {
  const { log } = await scripted('slow', [{ kind: 'cut', at: 5_000 }, { kind: 'answer' }]);
  const body = JSON.stringify({
    model: 'slow',
    stream: true,
    max_tokens: 50,
    messages: [{ role: 'user', content: 'hello' }],
  });
  const response = await fetch(`${deployment.url}/v1/chat/completions`, { method: 'POST', body });
  await eventually('the continuation', async () => (await log()).generate.length === 2 || null);
  const text = await response.text();
  expect(text.match(/word\d+/g)).toEqual(Array.from({ length: 40 }, (_, index) => `word${index}`));
  expect((await log()).generate.map(({ fits }) => fits)).toEqual([true, true]);
});

test("workerd's log has no uncaught error", () => {
  const log = readFileSync(join(deployment.directory, 'platform.log'), 'utf8');
  expect(log).not.toMatch(/uncaught/i);
});
