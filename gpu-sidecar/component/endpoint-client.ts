/**
 * Calls of an endpoint from a Node process, a component among them: whoever serves it is found by discovery, one instance is
 * chosen (in turn, at random, or by its id), and its answer read.
 *
 * An instance that cannot be reached counts as down here until discovery says anything new about the endpoint. Another one is
 * tried only where the call cannot have begun: no connection, a refusal, or an endpoint that says it is idempotent.
 */

import { callInstances, Unreached } from '../../durable/runtime/call-instances.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import {
  type EndpointName,
  endpointPrefix,
  type Instance,
  readInstance,
} from '../../durable/runtime/instance.ts';
import { type CallMode, InstanceChoice } from '../../durable/runtime/instance-choice.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Discovery, DiscoveryWatch } from '../discovery/discovery.ts';
import { refusalOf } from '../server/platform-call.ts';
import type { Fetch } from '../tls/tls-fetch.ts';
import { readAnswer } from './read-answer.ts';

export interface CallOptions {
  mode?: CallMode;
  /** Of mode `direct`: hex. */
  instance?: string;
  /** Until an answer, or the next item of one, must be there. */
  timeoutMs?: number;
  signal?: AbortSignal;
  headers?: Readonly<Record<string, string>>;
}

export interface EndpointClientOptions {
  discovery: Discovery;
  fleetToken: string;
  fetcher: Fetch;
  random: () => number;
}

/** A connection was not made. */
const NEVER_CONNECTED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export class EndpointClient {
  readonly #options: EndpointClientOptions;
  readonly #choice: InstanceChoice;
  readonly #found = new Map<string, Instance>();
  readonly #watch: DiscoveryWatch;
  #changed: (() => void)[] = [];

  constructor(name: EndpointName, options: EndpointClientOptions) {
    this.#options = options;
    this.#choice = new InstanceChoice(name);
    this.#watch = options.discovery.watch(endpointPrefix(name), (change) => {
      const instance = change.kind === 'added' ? readInstance(change.key, change.value) : null;
      if (instance === null) this.#found.delete(change.key);
      else this.#found.set(change.key, instance);
      this.#choice.replace([...this.#found.values()]);
      for (const resolve of this.#changed.splice(0)) resolve();
    });
  }

  /** Who serves it now, as far as discovery has told. */
  get instances(): readonly Instance[] {
    return this.#choice.instances;
  }

  /** Resolves when somebody serves it. */
  async available(): Promise<void> {
    while (this.instances.length === 0) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  random(input: unknown): Promise<unknown> {
    return this.call(input, { mode: 'random' });
  }

  roundRobin(input: unknown): Promise<unknown> {
    return this.call(input, { mode: 'round_robin' });
  }

  direct(instance: string, input: unknown): Promise<unknown> {
    return this.call(input, { mode: 'direct', instance });
  }

  /** The answer: JSON, bytes, or the items of a stream as an array. Throws StatorError. */
  async call(input: unknown, options: CallOptions = {}): Promise<unknown> {
    const response = await this.#open(input, options);
    const items: unknown[] = [];
    for await (const item of readAnswer(response)) items.push(item);
    return response.headers.get('content-type')?.startsWith('application/x-ndjson') ? items : items[0];
  }

  /** The items as they come; an answer that is none is one. Throws StatorError, also when a stream breaks off. */
  async *stream(input: unknown, options: CallOptions = {}): AsyncGenerator<unknown, undefined> {
    yield* readAnswer(await this.#open(input, options));
  }

  close(): void {
    this.#watch.close();
  }

  async #open(input: unknown, options: CallOptions): Promise<Response> {
    const { instance: instanceId = null, mode = instanceId === null ? 'round_robin' : 'direct' } = options;
    await this.#synced();
    return callInstances({
      wish: { mode, instanceId },
      random: this.#options.random,
      choice: async () => this.#choice,
      call: (instance) => this.#ask(instance, input, options),
    });
  }

  /** The first list; a discovery that is away for long is said to be. */
  async #synced(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new StatorError('worker_unavailable', 'discovery does not answer');
      timer = setTimeout(() => reject(error), LIMITS.discoveryCallMs);
    });
    await Promise.race([this.#watch.synced, late]).finally(() => clearTimeout(timer));
  }

  async #ask(instance: Instance, input: unknown, options: CallOptions): Promise<Response> {
    if (instance.http === null) {
      throw new StatorError('unsupported_parameter', `instance ${instance.instanceId} speaks gRPC only`);
    }
    const bytes = input instanceof Uint8Array;
    const headers = {
      ...options.headers,
      authorization: `Bearer ${this.#options.fleetToken}`,
      accept: 'application/x-ndjson',
      'content-type': bytes ? 'application/octet-stream' : 'application/json',
      ...(options.timeoutMs === undefined ? {} : { 'x-stator-timeout-ms': String(options.timeoutMs) }),
    };
    const late = AbortSignal.timeout((options.timeoutMs ?? LIMITS.componentCallMs) + LIMITS.componentGraceMs);
    const init: RequestInit = {
      method: 'POST',
      headers,
      body: bytes ? new Uint8Array(input) : JSON.stringify(input ?? null),
      signal: options.signal === undefined ? late : AbortSignal.any([late, options.signal]),
    };
    let response: Response;
    try {
      response = await this.#options.fetcher(instance.http, init);
    } catch (cause) {
      throw unanswered(instance, cause, options.signal);
    }
    if (response.ok) return response;
    const said = `instance ${instance.instanceId} answered with HTTP status ${response.status}`;
    throw refusalOf(await response.json().catch(() => null), said);
  }
}

function unanswered(
  { idempotent, instanceId }: Instance,
  thrown: unknown,
  signal?: AbortSignal,
): StatorError {
  const { cause, code, name } = thrown as Error & { cause?: { code?: string }; code?: string };
  if (signal?.aborted) return new StatorError('cancelled', 'the call was cancelled', { cause: thrown });
  if (name === 'TimeoutError') {
    return new StatorError('deadline_exceeded', `instance ${instanceId} did not answer in time`, {
      cause: thrown,
    });
  }
  const never = NEVER_CONNECTED.has(cause?.code ?? code ?? '');
  const message = never
    ? `instance ${instanceId} cannot be reached`
    : `the connection to instance ${instanceId} broke before it answered`;
  return new Unreached(message, { cause: thrown, mayHaveBegun: !never && !idempotent });
}
