/**
 * What a sidecar costs: CPU of its process per short request (one token, not streamed) and per streamed token (256 paced at
 * 5 ms), with the mock engine, a fleet socket and 64 clients over HTTP/1.1. Three rounds each, after one to warm up.
 *
 *   node test/bench/sidecar.ts [short|stream]
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { Dialect, GenerateRequestSchema } from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { ScriptedRouter } from '../harness/scripted-router.ts';
import { cpuOf } from './process-cpu.ts';

const CLIENTS = 64;
const PROMPT_TOKENS = 26;
const ROUNDS = 3;
const BOOT = 1;

const CELLS = {
  short: { requests: 20_000, maxTokens: 1, stream: false, decodeMs: 0, speedup: 0 },
  stream: { requests: 192, maxTokens: 256, stream: true, decodeMs: 5, speedup: 1 },
};
type Cell = (typeof CELLS)[keyof typeof CELLS];

const MAIN = fileURLToPath(new URL('../../gpu-sidecar/main.ts', import.meta.url).href);
const wanted = process.argv[2];
for (const [name, cell] of Object.entries(CELLS)) {
  if (wanted === undefined || wanted === name) await measure(name, cell);
}

async function measure(name: string, cell: Cell): Promise<void> {
  await using router = await ScriptedRouter.open({ boot: BOOT });
  const sidecar = spawn(process.execPath, [MAIN], {
    env: {
      STATOR_ENGINE: 'mock',
      STATOR_FLEET_TOKEN: 'bench',
      STATOR_PLATFORM_URL: `http://127.0.0.1:${router.port}`,
      STATOR_ENGINE_SPEEDUP: String(cell.speedup),
      STATOR_MOCK_DECODE_MS: String(cell.decodeMs),
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const url = `${await httpAddress(sidecar)}/stator.v1.Worker/Generate`;
    const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
    await round(url, agent, cell, cell.requests / 4);
    for (let i = 0; i < ROUNDS; i++) {
      const before = cpuOf(sidecar.pid!);
      const startMs = performance.now();
      await round(url, agent, cell, cell.requests);
      const after = cpuOf(sidecar.pid!);
      const cpuUs = 1e6 * (after.user + after.system - before.user - before.system);
      const perS = (1000 * cell.requests) / (performance.now() - startMs);
      const us = cell.stream ? cpuUs / cell.requests / cell.maxTokens : cpuUs / cell.requests;
      console.log(
        `${name}: ${us.toFixed(1)} µs CPU a ${cell.stream ? 'token' : 'request'}, ${perS.toFixed(0)} requests/s`,
      );
      router.frames.length = 0;
    }
    agent.destroy();
  } finally {
    sidecar.kill('SIGKILL');
  }
}

async function httpAddress(sidecar: ChildProcess): Promise<string> {
  for await (const text of createInterface({ input: sidecar.stdout! })) {
    const line = JSON.parse(text) as { phase?: string; http?: string; message?: string };
    if (line.phase === 'serving') return line.http!;
    if (line.message !== undefined) throw new Error(line.message);
  }
  throw new Error('the sidecar ended');
}

/** Each client sends its next request when the answer to the last one is complete. */
async function round(url: string, agent: Agent, cell: Cell, requests: number): Promise<void> {
  let left = requests;
  const client = async (): Promise<void> => {
    while (left-- > 0) await one(url, agent, body(cell, left));
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

/** A fresh prompt each time, so that no cache flatters. */
function body(cell: Cell, reservation: number): Uint8Array {
  const ids = Uint32Array.from({ length: PROMPT_TOKENS }, () => 300 + Math.floor(Math.random() * 2_000));
  const message = create(GenerateRequestSchema, {
    requestId: 'req_0198c6a2-7b1e-7abc-9def-0123456789ab',
    model: 'mock',
    tokenIds: new Uint8Array(ids.buffer),
    reservation: reservation + 1,
    routerBoot: BOOT,
    sampling: { temperature: 1, topP: 1, seed: 5n },
    stop: { maxTokens: cell.maxTokens, ignoreEos: true },
    output: { dialect: Dialect.OPENAI_CHAT, stream: cell.stream, responseId: 'chatcmpl-1', created: 5n },
  });
  return toBinary(GenerateRequestSchema, message);
}

function one(url: string, agent: Agent, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: 'Bearer bench', 'content-length': bytes.length };
    const call = request(url, { agent, method: 'POST', headers }, (answer) => {
      answer.resume();
      answer.on('end', () =>
        answer.statusCode === 200 ? resolve() : reject(new Error(`${answer.statusCode}`)),
      );
    });
    call.on('error', reject);
    call.end(bytes);
  });
}
