/**
 * What workerd itself takes for one hop, as a side of the benchmark: a Worker that reads the body, parses it and passes on
 * what a worker process on the same machine answers, with no Stator in it. Goals in milliseconds mean little on a host whose
 * speed changes; the multiple of this floor, measured in turn with the cells, means the same everywhere.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../../cli/launch/platform-client.ts';
import { freePort } from '../../cli/launch/ports.ts';
import { workerdBinary } from '../../cli/paths.ts';
import type { Side } from './cells.ts';

const ANSWER = JSON.stringify({
  id: 'chatcmpl-0',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'a' }, finish_reason: 'length' }],
});

const WORKER_PROCESS = `
const answer = ${JSON.stringify(ANSWER)};
require('node:http').createServer((request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
    response.end(answer);
  });
}).listen(Number(process.argv[1]), '127.0.0.1');
process.stdin.resume().on('end', () => process.exit());`;

const WORKER = `
export default {
  async fetch(request, env) {
    const { messages } = JSON.parse(await request.text());
    const body = new Uint8Array(4 * messages[0].content.length);
    return fetch(env.WORKER, { method: 'POST', headers: { 'content-type': 'application/proto' }, body });
  },
};`;

const configuration = (port: number, worker: string) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "floor", worker = (
      modules = [(name = "floor.js", esModule = embed "floor.js")],
      bindings = [(name = "WORKER", text = "${worker}")],
      compatibilityDate = "2026-08-15", globalOutbound = "network")),
    (name = "network", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "floor")],
);`;

export interface Floor {
  side: Side;
  stop(): void;
}

export async function startFloor(): Promise<Floor> {
  const folder = mkdtempSync(join(tmpdir(), 'stator-floor-'));
  const [port, workerPort] = [await freePort(), await freePort()];
  writeFileSync(join(folder, 'floor.js'), WORKER);
  writeFileSync(join(folder, 'config.capnp'), configuration(port, `http://127.0.0.1:${workerPort}/generate`));
  const worker = spawn(process.execPath, ['-e', WORKER_PROCESS, String(workerPort)], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const platform = spawn(workerdBinary(), ['serve', join(folder, 'config.capnp')], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const stop = () => {
    for (const child of [platform, worker] as ChildProcess[]) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  const isUp = async () => {
    const body = JSON.stringify({ messages: [{ content: 'x' }] });
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body }).catch(() => null);
    return response?.ok ? true : null;
  };
  try {
    await waitFor(isUp, {
      timeoutMs: 30_000,
      everyMs: 50,
      timeout: () => new Error('the floor did not start'),
    });
  } catch (error) {
    stop();
    throw error;
  }
  const pids = { frontendPids: [platform.pid as number], workerPids: [worker.pid as number] };
  return { side: { name: 'floor', host: '127.0.0.1', port, model: 'tiny', ...pids }, stop };
}
