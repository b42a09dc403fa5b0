/// <reference types="@cloudflare/vitest-pool-workers/types" />
/** A test's own fleet: workers of one model, registered with the real Router object, answering by script. */

import { exports } from 'cloudflare:workers';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { inject } from 'vitest';
import type { RegisterSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { ModelInput, ModelType, WorkerType } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { batchFrame, dumpFrame, registerFrame } from '../../durable/router/fleet-worker.ts';
import { FleetClient, routerStub, until } from '../durable/fleet-client.ts';
import type { ScenarioLog, Script, Step } from './sidecar-script.ts';

/** As vitest.config.ts has them. */
export const API_KEY = 'sk-stator-test';
export const FLEET_TOKEN = 'fleet-token-of-the-tests';
export const NAMESPACE = 'default';
const ORIGIN = 'http://stator.test';
const sidecars = inject('sidecars');

type Register = MessageInitShape<typeof RegisterSchema>;
type Card = NonNullable<Register['card']>;

export const PIECES: Script['pieces'] = [
  { text: 'Grüße', tokenIds: [17] },
  { text: ' an 👋', tokenIds: [18, 0xffff_fff0, 19] },
  { text: ' alle', tokenIds: [20] },
];

/** A request to the platform; with the key, unless told otherwise. */
export function platform(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has('authorization') && !headers.has('x-api-key'))
    headers.set('authorization', `Bearer ${API_KEY}`);
  const worker = (exports as unknown as { default: { fetch(request: Request): Promise<Response> } }).default;
  return worker.fetch(new Request(ORIGIN + path, { ...init, headers }));
}

export function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return platform(path, { method: 'POST', body: text, headers });
}

let scenarios = 0;
/** Instance ids and models differ from file to file, for all share one Router object. */
const FILE = Math.floor(Math.random() * 0xffff);
const hex = (value: number) => value.toString(16).padStart(4, '0');

export interface Scenario {
  model: string;
  /** Instance ids. */
  workers: string[];
  chat(overrides?: Record<string, unknown>): Promise<Response>;
  log(): Promise<ScenarioLog>;
  /** From the beginning, with other steps and an empty log. */
  play(steps: Step[]): Promise<void>;
  /** Lets calls with the step `hold` go on. */
  release(): Promise<void>;
  /** Until the log is as wanted. */
  logged(right: (log: ScenarioLog) => boolean): Promise<ScenarioLog>;
  clients: FleetClient[];
}

export interface ScenarioOptions extends Partial<Script> {
  steps: Step[];
  workers?: number;
  /** Of the first workers; the others are aggregated. */
  roles?: WorkerType[];
  card?: Partial<Card>;
  /** Addresses instead of the scripted server's, by worker. */
  addresses?: string[];
}

export async function scenario(options: ScenarioOptions): Promise<Scenario> {
  const id = `${hex(FILE)}${hex(++scenarios)}`;
  const model = `model-${id}`;
  const { pieces = PIECES, steps, document = 'with-length', cachedTokens, prefill } = options;
  const script: Omit<Script, 'steps'> = {
    pieces,
    document,
    ...(cachedTokens === undefined ? {} : { cachedTokens }),
    ...(prefill === undefined ? {} : { prefill }),
  };
  const play = async (next: Step[]) => {
    const body = JSON.stringify({ ...script, steps: next });
    await fetch(`${sidecars.origin}/script/${id}`, { method: 'PUT', body });
  };
  await play(steps);
  const workers = Array.from({ length: options.workers ?? 1 }, (_, index) => `${id}0000${hex(index + 1)}`);
  const clients = await Promise.all(
    workers.map((worker, index) =>
      join(
        {
          instanceId: worker,
          httpAddress: options.addresses?.[index] ?? `${sidecars.origin}/s/${id}/${worker}`,
          workerType: options.roles?.[index] ?? WorkerType.AGGREGATED,
        },
        model,
        options.card,
      ),
    ),
  );
  if (options.roles?.every((role) => role === WorkerType.PREFILL))
    await until(
      () => routerStub(NAMESPACE).status(),
      (s) => workers.every((id) => s.workers.some(({ instanceId }) => instanceId === id)),
    );
  else
    await until(
      () => platform(`/v1/models/${model}`).then((r) => r.json<{ workers?: number }>()),
      (m) => m.workers === workers.length,
    );
  const log = async () => (await (await fetch(`${sidecars.origin}/log/${id}`)).json()) as ScenarioLog;
  return {
    model,
    workers,
    clients,
    play,
    log,
    logged: (right) => until(log, right),
    release: async () => void (await fetch(`${sidecars.origin}/release/${id}`)),
    chat(overrides = {}) {
      // A worker lives as long as it is heard of.
      for (const client of clients) client.send(batchFrame({}));
      const messages = [{ role: 'user', content: 'hello' }];
      return post('/v1/chat/completions', { model, messages, stream: true, max_tokens: 50, ...overrides });
    },
  };
}

async function join(
  {
    instanceId,
    httpAddress,
    workerType,
  }: { instanceId: string; httpAddress: string; workerType: WorkerType },
  model: string,
  card: Partial<Card> = {},
): Promise<FleetClient> {
  const response = await platform(`/fleet/v1/${NAMESPACE}`, {
    headers: {
      upgrade: 'websocket',
      'sec-websocket-protocol': 'stator.fleet.v1',
      authorization: `Bearer ${FLEET_TOKEN}`,
    },
  });
  if (!response.webSocket) throw new Error(`no socket: ${response.status} ${await response.text()}`);
  const client = new FleetClient(response.webSocket);
  client.send(
    registerFrame({
      instanceId,
      httpAddress,
      workerType,
      card: {
        name: model,
        contextLengthTokens: 256,
        kvCacheBlockSize: 16,
        migrationLimit: 3,
        createdMs: 1_700_000_000_000n,
        description: 'scripted',
        modelInput: ModelInput.TOKENS,
        modelTypes: [ModelType.CHAT, ModelType.COMPLETIONS],
        tokenizer: { sha256: sidecars.tokenizerSha256, sizeBytes: 1n },
        chatTemplate: { sha256: sidecars.templateSha256, sizeBytes: 1n },
        specialTokens: ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<tool_call>'],
        ...card,
      } as Card,
    }),
  );
  await client.take('welcome');
  await client.take('sendDump');
  client.send(dumpFrame([]));
  return client;
}

/** How many requests the Router object holds in flight for a scenario's workers. */
export async function inFlight({ workers }: Scenario): Promise<number> {
  const status = await routerStub(NAMESPACE).status();
  return status.workers
    .filter(({ instanceId }) => workers.includes(instanceId))
    .reduce((sum, { activeRequests }) => sum + activeRequests, 0);
}

/** The value of one metric line of the function side; 0 when it is not there. */
export async function metric(name: string, labels: Record<string, string>): Promise<number> {
  const text = await (await platform('/metrics')).text();
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  for (const line of text.split('\n')) {
    if (line.startsWith(`stator_${name}{`) && wanted.every((label) => line.includes(label))) {
      return Number(line.slice(line.lastIndexOf(' ')));
    }
  }
  return 0;
}

/** The bytes that an answer without breaks has. */
export function wholeStream(responseId: string, created: number, seed: string): string {
  const data = (delta: object, reason: string | null) =>
    JSON.stringify({ id: responseId, created, seed, delta, finish_reason: reason });
  const payloads = [
    data({ role: 'assistant' }, null),
    ...PIECES.map(({ text }) => data({ content: text }, null)),
    data({}, 'stop'),
    '[DONE]',
  ];
  const ids = ['', ...PIECES.map(({ tokenIds }) => tokenIds.map((id) => id.toString(36)).join('.')), '', ''];
  return payloads.map((payload, index) => `id: ${index}:${ids[index]}\ndata: ${payload}\n\n`).join('');
}

export interface OpenAiError {
  error: { message: string; type: string; param: string | null; code: string };
}

export async function errorOf(response: Response): Promise<OpenAiError['error']> {
  return ((await response.json()) as OpenAiError).error;
}
