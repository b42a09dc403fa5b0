/**
 * A real HTTP server that answers like sidecars, by script. One scenario per test: its workers' addresses are
 * `{origin}/s/{scenario}/{worker}`. It knows the event grammar on its own and checks every continuation against it.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { TestProject } from 'vitest/node';
import {
  DetokenizeRequestSchema,
  DetokenizeResponseSchema,
  EmbedRequestSchema,
  EmbedResponseSchema,
  type GenerateRequest,
  GenerateRequestSchema,
  GetArtifactRequestSchema,
  GetArtifactResponseSchema,
  TokenizeRequestSchema,
  TokenizeResponseSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import type { GenerateLog, Refusal, ScenarioLog, Script, Step } from './sidecar-script.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    sidecars: ScriptedSidecars;
  }
}

const TOKENIZER = readFileSync('test/fixtures/tokenizer.json');
const TEMPLATE = Buffer.from(
  "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('tools are not for me') }}{% endif %}" +
    "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
);
const BROKEN = Buffer.from('{% for %}');
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const ARTIFACTS = new Map([TOKENIZER, TEMPLATE, BROKEN].map((bytes) => [sha256(bytes), bytes]));

interface Scenario {
  script: Script;
  log: ScenarioLog;
  calls: number;
  held: (() => void)[];
}

const scenarios = new Map<string, Scenario>();

export interface ScriptedSidecars {
  origin: string;
  tokenizerSha256: string;
  templateSha256: string;
  brokenSha256: string;
}

/** Vitest's global setup for the Workers pool. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { sidecars, stop } = await startScriptedSidecars();
  project.provide('sidecars', sidecars);
  return stop;
}

export async function startScriptedSidecars(): Promise<{
  sidecars: ScriptedSidecars;
  stop(): Promise<void>;
}> {
  const server = createServer((request, response) => {
    handle(request, response).catch((error: Error) => {
      response.statusCode = 500;
      response.end(error.stack);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    sidecars: {
      origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      tokenizerSha256: sha256(TOKENIZER),
      templateSha256: sha256(TEMPLATE),
      brokenSha256: sha256(BROKEN),
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, kind, name = '', worker = '', , method = ''] = request
    .url!.replace('/stator.v1.Worker/', '//')
    .split('/');
  const body = await readAll(request);
  if (kind === 'script') {
    const script = JSON.parse(body.toString()) as Script;
    scenarios.set(name, { script, log: { generate: [], calls: [] }, calls: 0, held: [] });
    response.end();
    return;
  }
  const scenario = scenarios.get(name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  if (kind === 'log') response.end(JSON.stringify(scenario.log));
  else if (kind === 'release') {
    for (const release of scenario.held.splice(0)) release();
    response.end();
  } else if (method === 'Generate') await generate(scenario, worker, request, body, response);
  else unary(scenario, method, body, response);
}

function unary(scenario: Scenario, method: string, body: Buffer, response: ServerResponse): void {
  scenario.log.calls.push(method);
  response.setHeader('content-type', 'application/proto');
  if (method === 'GetArtifact') {
    const data = ARTIFACTS.get(fromBinary(GetArtifactRequestSchema, body).sha256);
    if (data === undefined) {
      response.writeHead(404, { 'x-stator-code': 'not_found' }).end('{"error":{"message":"no such file"}}');
      return;
    }
    response.end(toBinary(GetArtifactResponseSchema, create(GetArtifactResponseSchema, { data })));
  } else if (method === 'Tokenize') {
    // A token per code point; the guard is dropped.
    const { text, guard } = fromBinary(TokenizeRequestSchema, body);
    const ids = Uint32Array.from(
      [...text].filter((c) => c !== guard),
      (c) => c.codePointAt(0)!,
    );
    const tokenIds = new Uint8Array(ids.buffer);
    response.end(toBinary(TokenizeResponseSchema, create(TokenizeResponseSchema, { tokenIds })));
  } else if (method === 'Detokenize') {
    const { tokenIds } = fromBinary(DetokenizeRequestSchema, body);
    const ids = [...new Uint32Array(Uint8Array.from(tokenIds).buffer)];
    const pieces = ids.map((id) => new Uint8Array(Buffer.from(String.fromCodePoint(id))));
    response.end(toBinary(DetokenizeResponseSchema, create(DetokenizeResponseSchema, { pieces })));
  } else if (method === 'Embed') {
    // A text's vector is how many tokens it has, and 1.
    const { inputs } = fromBinary(EmbedRequestSchema, body);
    const rows = Float32Array.from(inputs.flatMap((input) => [input.length / 4, 1]));
    const vectors = new Uint8Array(rows.buffer);
    response.end(toBinary(EmbedResponseSchema, create(EmbedResponseSchema, { vectors, dimensions: 2 })));
  } else throw new Error(`unknown method ${method}`);
}

async function generate(
  scenario: Scenario,
  worker: string,
  http: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
): Promise<void> {
  const request = fromBinary(GenerateRequestSchema, body);
  const { script } = scenario;
  const step = script.steps[Math.min(scenario.calls++, script.steps.length - 1)]!;
  const stream = request.output!.stream;
  const events = eventsOf(script, request);
  const whole = stream ? Buffer.concat(events) : documentOf(script, request);
  const entry = logEntry(worker, http, request);
  scenario.log.generate.push(entry);
  const from = stream ? startOf(events, script, request, entry) : 0;
  let over = false;
  response.on('close', () => {
    entry.aborted = !over;
  });
  const finish = (act: () => void): void => {
    over = true;
    act();
  };
  if (step.kind.startsWith('hold')) await new Promise<void>((resolve) => scenario.held.push(resolve));
  if (step.kind === 'refuse' || step.kind === 'hold-then-refuse') return finish(() => refuse(step, response));
  if (step.kind === 'hold-then-cut') return finish(() => response.socket?.destroy());
  const at = 'at' in step ? step.at : whole.length;
  if (at < 0) return finish(() => response.socket?.destroy());
  const withLength = !stream && script.document === 'with-length';
  response.writeHead(200, {
    'content-type': stream ? 'text/event-stream' : 'application/json',
    ...(script.cachedTokens === undefined ? {} : { 'x-stator-cached-tokens': String(script.cachedTokens) }),
    ...(withLength ? { 'content-length': String(whole.length) } : {}),
    ...prefillHead(script, request),
  });
  response.flushHeaders();
  const lead = !stream && !withLength ? Buffer.from('  ') : Buffer.alloc(0);
  await write(response, Buffer.concat([lead, whole.subarray(from, Math.max(at, from))]));
  if (step.kind === 'trickle') return trickle(response, stream ? ': keep-alive\n\n' : ' ');
  act(step, response, finish);
}

function prefillHead({ prefill }: Script, request: GenerateRequest): Record<string, string> {
  if (prefill === undefined || request.prefill === undefined) return {};
  const name = prefill === 'computed' ? 'x-stator-prefill-worker' : 'x-stator-prefill-failed';
  return { [name]: request.prefill.instanceId };
}

function act(step: Step, response: ServerResponse, finish: (act: () => void) => void): void {
  finish(() => {
    if (step.kind === 'cut') response.socket?.destroy();
    else if (step.kind === 'fail') response.end('data: {"error":{"code":"engine_error"}}\n\n');
    else response.end();
  });
}

function trickle(response: ServerResponse, harmless: string): void {
  const timer = setInterval(() => response.write(harmless), 10);
  response.on('close', () => clearInterval(timer));
}

function refuse(step: Refusal, response: ServerResponse): void {
  const { code, message, param = null } = step;
  const retryAfter = step.retryAfter === undefined ? {} : { 'retry-after': step.retryAfter };
  response.writeHead(step.status, {
    'content-type': 'application/json',
    'x-stator-code': code,
    ...retryAfter,
  });
  response.end(JSON.stringify({ error: { message, type: 'x', param, code } }));
}

/** The answer as events: a role, the pieces, the finish, the end. */
function eventsOf(script: Script, request: GenerateRequest): Buffer[] {
  const { responseId, created } = request.output!;
  const seed = request.sampling!.seed;
  const data = (delta: object, reason: string | null) =>
    JSON.stringify({
      id: responseId,
      created: Number(created),
      seed: String(seed),
      delta,
      finish_reason: reason,
    });
  const payloads = [
    { ids: [] as number[], data: data({ role: 'assistant' }, null) },
    ...script.pieces.map(({ text, tokenIds }) => ({ ids: tokenIds, data: data({ content: text }, null) })),
    { ids: [], data: data({}, 'stop') },
    { ids: [], data: '[DONE]' },
  ];
  return payloads.map((event, index) => {
    const ids = event.ids.map((id) => id.toString(36)).join('.');
    return Buffer.from(`id: ${index}:${ids}\ndata: ${event.data}\n\n`);
  });
}

function documentOf(script: Script, request: GenerateRequest): Buffer {
  const { responseId, created } = request.output!;
  const content = script.pieces.map(({ text }) => text).join('');
  return Buffer.from(
    JSON.stringify({
      id: responseId,
      created: Number(created),
      seed: String(request.sampling!.seed),
      content,
    }),
  );
}

/** Where a continuation begins; checks that it fits. */
function startOf(events: Buffer[], script: Script, request: GenerateRequest, entry: GenerateLog): number {
  const { resume } = request;
  if (resume === undefined) return 0;
  const had = events.slice(0, resume.events);
  const bytes = Buffer.concat(had).length;
  const interrupted = events[resume.events]?.subarray(0, resume.partialEvent.length) ?? Buffer.alloc(0);
  const pieces = script.pieces.slice(0, Math.max(resume.events - 1, 0));
  const ids = pieces.flatMap(({ tokenIds }) => tokenIds);
  entry.fits =
    had.length === resume.events &&
    interrupted.equals(Buffer.from(resume.partialEvent)) &&
    JSON.stringify(ids) === JSON.stringify(words(resume.tokenIds));
  return bytes + resume.partialEvent.length;
}

function logEntry(worker: string, http: IncomingMessage, request: GenerateRequest): GenerateLog {
  const { resume } = request;
  return {
    worker,
    authorization: http.headers.authorization ?? '',
    contentType: http.headers['content-type'] ?? '',
    requestId: request.requestId,
    model: request.model,
    tokenIds: words(request.tokenIds),
    blockHashesBytes: request.blockHashes.length,
    blockHashes: Buffer.from(request.blockHashes).toString('base64'),
    hashSeed: String(request.hashSeed),
    reservation: request.reservation,
    seed: String(request.sampling!.seed),
    maxTokens: request.stop!.maxTokens,
    responseId: request.output!.responseId,
    created: Number(request.output!.created),
    stop: request.stop!.stop,
    temperature: request.sampling!.temperature,
    prefill: request.prefill === undefined ? null : prefillOf(request.prefill),
    nvextPrefillWorker: request.output!.nvext?.prefillWorkerId ?? '',
    resume:
      resume === undefined
        ? null
        : {
            tokenIds: words(resume.tokenIds),
            partialEvent: Buffer.from(resume.partialEvent).toString('latin1'),
            events: resume.events,
            cachedTokens: resume.cachedTokens ?? null,
          },
    fits: true,
    aborted: false,
  };
}

const prefillOf = ({ instanceId, grpcAddress, reservation }: NonNullable<GenerateRequest['prefill']>) => ({
  instanceId,
  grpcAddress,
  reservation,
});

const words = (bytes: Uint8Array): number[] => [...new Uint32Array(new Uint8Array(bytes).buffer)];

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Resolves when the bytes are with the kernel, so that breaking the connection does not lose them. */
function write(response: ServerResponse, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return Promise.resolve();
  return new Promise((resolve) => response.write(bytes, () => resolve()));
}
