/**
 * A worker of a deployment, as the one that is measured: every request names it (`nvext.backend_instance_id`) and asks for its times.
 * Prompts are tokens, taken from a long text of the model's own words in an order of their own.
 */

import * as z from 'zod';
import type { RouterStatus } from '../../durable/router/rpc.ts';
import { isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import type { Fetch } from '../../gpu-sidecar/tls/tls-fetch.ts';
import type { AnswerTimes, ProfiledWorker } from './measure.ts';

type WorkerStatus = RouterStatus['workers'][number];

export interface PlatformAccess {
  url: string;
  apiKey: string;
  fetch: Fetch;
  /** Ends whatever is under way. */
  signal: AbortSignal;
}

/** One answer may take so long. */
const ANSWER_TIMEOUT_MS = 600_000;
const WORDS =
  'the quick brown fox jumps over a lazy dog and then runs home to rest beside an old warm stone wall';

const ANSWER = z.object({
  nvext: z.object({
    timing: z.object({ worker_ttft_ms: z.number(), steady_itl_ms: z.number().optional() }),
  }),
});

/** Throws `no_workers`, or `invalid_request` where it is not said which of several is meant. */
export function chooseWorker(status: RouterStatus, wanted: string | undefined): WorkerStatus {
  const serving = status.workers.filter(({ phase }) => phase === 'serving');
  const able = serving.filter(({ workerType }) => workerType === 'aggregated' || workerType === 'decode');
  if (wanted !== undefined) {
    const found = able.find(({ instanceId }) => instanceId === wanted);
    if (found === undefined)
      throw new StatorError('no_workers', `--worker ${wanted} does not serve answers here`);
    return found;
  }
  const [first] = able;
  if (first === undefined) throw new StatorError('no_workers', 'no worker that answers is ready');
  const models = new Set(able.map(({ model, engine }) => `${model} on ${engine}`));
  if (models.size === 1) return first;
  throw new StatorError(
    'invalid_request',
    `workers differ (${[...models].join(', ')}): choose with --worker`,
  );
}

export class PlatformWorker implements ProfiledWorker {
  readonly #access: PlatformAccess;
  readonly #worker: WorkerStatus;
  readonly #words: readonly number[];
  #random = 0x9e37_79b9;

  private constructor(access: PlatformAccess, worker: WorkerStatus, words: readonly number[]) {
    this.#access = access;
    this.#worker = worker;
    this.#words = words;
    // Runs after each other must not find the prompts of the last.
    this.#random = crypto.getRandomValues(new Uint32Array(1))[0]! | 1;
  }

  /** Rejects with StatorError when the platform does not answer. */
  static async reach(access: PlatformAccess, worker: WorkerStatus): Promise<PlatformWorker> {
    const body = { model: worker.model, prompt: WORDS, add_special_tokens: false };
    const { tokens } = z.object({ tokens: z.array(z.number()) }).parse(await call(access, '/tokenize', body));
    return new PlatformWorker(access, worker, [...new Set(tokens)]);
  }

  freshPrompt(tokens: number): Uint32Array {
    return Uint32Array.from({ length: tokens }, () => this.#words[this.#draw() % this.#words.length]!);
  }

  async ask(prompt: Uint32Array, outputTokens: number): Promise<AnswerTimes> {
    const answer = await call(this.#access, '/v1/completions', {
      model: this.#worker.model,
      prompt: [...prompt],
      max_tokens: outputTokens,
      min_tokens: outputTokens,
      ignore_eos: true,
      temperature: 0,
      nvext: { backend_instance_id: this.#worker.instanceId, extra_fields: ['timing'] },
    });
    const parsed = ANSWER.safeParse(answer);
    if (!parsed.success) {
      throw new StatorError(
        'internal',
        `${this.#access.url} does not say how long its worker took: is it of this version?`,
      );
    }
    const { worker_ttft_ms: workerTtftMs, steady_itl_ms: steadyItlMs = null } = parsed.data.nvext.timing;
    return { workerTtftMs, steadyItlMs };
  }

  /** xorshift32 (Marsaglia): prompts need to differ, no more. */
  #draw(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return this.#random;
  }
}

async function call(
  { url, apiKey, fetch, signal }: PlatformAccess,
  path: string,
  body: object,
): Promise<unknown> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) },
    body: JSON.stringify(body),
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
  }).catch((cause: Error) => {
    if (signal.aborted) throw new StatorError('cancelled', 'the measurement was ended');
    throw new StatorError('worker_unavailable', `${url} does not answer: ${cause.message}`, { cause });
  });
  const answer = (await response.json().catch(() => null)) as {
    error?: { message: string; code?: string };
  } | null;
  if (response.ok && answer?.error === undefined) return answer;
  const { message, code = '' } = answer?.error ?? { message: `${url}${path} answered ${response.status}` };
  throw new StatorError(isErrorCode(code) ? code : 'internal', message);
}
