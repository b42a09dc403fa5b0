/**
 * One request's attempts: route, call, and when a worker is lost or refuses, the next one, within the migration limit.
 *
 * The response's id, time and seed are fixed at the first attempt and the same in every other, so that two workers
 * write the same bytes. A lost worker is left out of the next decision; when nobody else is there, a worker that only
 * broke a connection is asked once more after a pause. A request that fails for good frees its reservation.
 *
 * Behind a global router the same is done in one pool after another, as long as the client has nothing of the answer. Each pool
 * gets it as a new request, which queues like any other.
 */
import type { OpenAiPool } from '../../durable/global-router/rpc.ts';
import type { RouteDecision } from '../../durable/router/rpc.ts';
import { type ErrorCode, StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Call } from '../call.ts';
import { callOpenAi } from '../global-router/openai-call.ts';
import type { PreparedRequest } from '../prepared-request.ts';
import { encodeGenerateRequest, type NvextFields, type ResumeState } from './generate-request.ts';
import { REQUEST_PLANES } from './planes/registry.ts';
import { PREFILL_FAILED_HEADER, PREFILL_WORKER_HEADER } from './response-head.ts';
import { type ResponseIdentity, responseIdentity } from './response-identity.ts';
import { type Again, release, route } from './route.ts';
import { routeApart } from './route-apart.ts';
import { inCallersWords, workerError } from './worker-error.ts';

/** Where a request goes: to a worker that is being chosen, or to a pool elsewhere. */
export type Routing = Promise<RouteDecision> | OpenAiPool;

/** A worker has answered with a head of status 200. */
export interface Opened {
  worker: string;
  response: Response;
  body: ReadableStream<Uint8Array>;
  /** Why this worker: the router's decision, when the client asked for it. */
  explained: RouteDecision | null;
  /** Of a global router; absent: there is none. */
  pool?: string;
  /** It is no worker of ours, and its bytes are a provider's own. */
  elsewhere?: { pool: OpenAiPool; abort(): void };
}

/** Where the request goes first, or next. */
export function routed(call: Call, prepared: PreparedRequest, again?: Again): Promise<RouteDecision> {
  const { prefillPools } = prepared;
  return prefillPools === undefined
    ? route(call, prepared, again)
    : routeApart(call, prepared, prefillPools, again);
}

export class Attempts {
  readonly call: Call;
  /** As the pool wants it that has the request. */
  #prepared: PreparedRequest;
  readonly #identity: ResponseIdentity;
  /** Workers of failed attempts and why they failed. */
  readonly #failed = new Map<string, ErrorCode>();
  #decision: RouteDecision | null = null;
  /** Whose worker began the response, and who computed the prompt for it. */
  #began: RouteDecision | null = null;
  #prefilledBy = '';
  /** Prefill workers that failed, or may have. */
  readonly #failedPrefills = new Set<string>();
  /** The worker of the last attempt has answered, and so has said which prefill worker failed. */
  #answered = false;
  #dispatches = 0;
  #failure: StatorError | null = null;

  constructor(call: Call, prepared: PreparedRequest) {
    this.call = call;
    this.#prepared = prepared;
    this.#identity = responseIdentity(call, prepared.request);
  }

  /** The first worker that takes the request. Throws when there is none, or no attempt is left. */
  first(routing: Routing): Promise<Opened> {
    return this.#open(routing, null, true);
  }

  /** After `failed`: another worker, which continues behind `resume`, or begins anew when that is null. `sent`: the client has a part of it. */
  next(resume: ResumeState | null, { sent = resume !== null } = {}): Promise<Opened> {
    return this.#open(this.#again(resume), resume, !sent);
  }

  async #open(first: Routing, resume: ResumeState | null, mayLeave: boolean): Promise<Opened> {
    let routing = first;
    for (;;) {
      try {
        return routing instanceof Promise
          ? await this.#inNamespace(routing, resume)
          : await this.#elsewhere(routing);
      } catch (thrown) {
        const error = toStatorError(thrown);
        const onward = mayLeave ? await this.#onward(error) : this.#stay(error);
        if (onward instanceof StatorError) {
          await this.#giveUp(onward);
          throw onward === error ? thrown : onward;
        }
        routing = onward.routing;
      }
    }
  }

  async #inNamespace(routing: Promise<RouteDecision>, resume: ResumeState | null): Promise<Opened> {
    let decision = await routing;
    for (;;) {
      this.#decision = decision;
      this.#dispatches++;
      try {
        this.call.abort?.throwIfAborted();
        return await this.#generate(decision, resume);
      } catch (thrown) {
        this.failed(toStatorError(thrown));
      }
      decision = await this.#again(resume);
    }
  }

  async #elsewhere(pool: OpenAiPool): Promise<Opened> {
    this.call.abort?.throwIfAborted();
    const { response, abort } = await callOpenAi(pool, this.call, this.#prepared.request.stream);
    const { name } = pool;
    return {
      worker: name,
      pool: name,
      response,
      body: response.body!,
      explained: null,
      elsewhere: { pool, abort },
    };
  }

  /** To the next pool, with nothing left behind in this one; or the error that the client gets. */
  async #onward(error: StatorError): Promise<{ routing: Routing } | StatorError> {
    const { pools } = this.#prepared;
    if (pools === undefined) return error;
    const next = pools.next(error);
    if (next instanceof StatorError) return next;
    await this.#free();
    this.#failed.clear();
    this.#failedPrefills.clear();
    this.#dispatches = 0;
    this.#failure = null;
    this.call.mayBeShed = false;
    if (next.kind === 'openai') return { routing: next.pool };
    this.#prepared = { ...next.prepared, pools };
    return { routing: routed(this.call, this.#prepared) };
  }

  #stay(error: StatorError): StatorError {
    this.#prepared.pools?.lost(error);
    return error;
  }

  /** The worker of the last attempt came to nothing. Throws what it said when another one would say the same. */
  failed(error: StatorError): void {
    if (!error.retryable) throw error;
    this.#failure = error;
    if (this.#decision === null) return;
    const { worker, prefill } = this.#decision;
    this.#failed.set(worker, error.code);
    // A worker that was lost before its answer may have been lost over its prefill worker; one that refuses never asked it.
    // Where prefill workers take prompts from a queue, nobody here knows who it was.
    const by = prefill?.worker ?? '';
    if (by !== '' && !this.#answered && error.code === 'worker_unavailable') this.#failedPrefills.add(by);
  }

  /** No attempt follows. */
  async #giveUp(error: StatorError): Promise<void> {
    await this.#free();
    // What cannot be told is found out later.
    await this.call.failed?.(error).catch(() => {});
  }

  async #free(): Promise<void> {
    await this.#freePrefill();
    const decision = this.#decision;
    this.#decision = null;
    if (decision !== null) await release(this.call, this.#prepared.model.namespace, decision.reservation);
  }

  /** Of a prefill worker in another namespace, whose router does not hear of the decode worker. */
  async #freePrefill(): Promise<void> {
    const prefill = this.#decision?.prefill;
    if (prefill?.namespace !== undefined) await release(this.call, prefill.namespace, prefill.reservation);
  }

  get #dispatchLimit(): number {
    return 1 + Math.min(this.call.settings.migrationLimit, this.#prepared.model.migrationLimit);
  }

  async #again(resume: ResumeState | null): Promise<RouteDecision> {
    this.call.abort?.throwIfAborted();
    // Nobody goes on behind a pool elsewhere.
    if (this.#decision === null) throw this.#failure!;
    if (this.#dispatches >= this.#dispatchLimit) throw this.#exhausted();
    const decision = await this.#routeAgain();
    this.call.track.migrated(resume === null ? 'new_request' : 'ongoing_request');
    return decision;
  }

  async #routeAgain(): Promise<RouteDecision> {
    const release = this.#decision!.reservation;
    const exclude = () => [...this.#failed.keys(), ...this.#failedPrefills];
    await this.#freePrefill();
    for (let pauses = 0; ; pauses++) {
      try {
        return await routed(this.call, this.#prepared, { exclude: exclude(), release });
      } catch (thrown) {
        const error = toStatorError(thrown);
        if (error.code !== 'no_workers' || !this.#mayChange(pauses)) throw this.#plainer(error);
      }
      await new Promise((resolve) => setTimeout(resolve, LIMITS.sameWorkerPauseMs));
    }
  }

  /**
   * Whether the answer may be another one in a moment. Workers whose connection broke may be asked again; those that refused
   * may not. A worker that drains was the last of a model that goes to sleep: once the router has heard that, it wakes another.
   */
  #mayChange(pauses: number): boolean {
    let mayChange = false;
    for (const [worker, code] of this.#failed) {
      if (code === 'worker_unavailable') mayChange = this.#failed.delete(worker);
      if (code === 'worker_draining' && pauses < LIMITS.drainingPauses) mayChange = true;
    }
    return mayChange;
  }

  /** "Nobody is left" says less than what the last worker said. */
  #plainer(error: StatorError): StatorError {
    return error.code === 'no_workers' && this.#failure !== null ? this.#failure : error;
  }

  #exhausted(): StatorError {
    const failure = this.#failure!;
    if (failure.code === 'overloaded') return failure;
    const message = `The request was sent to ${this.#dispatches} workers and each was lost: ${failure.message}`;
    return new StatorError('migration_exhausted', message, { cause: failure });
  }

  async #generate(decision: RouteDecision, resume: ResumeState | null): Promise<Opened> {
    const { request, model, prompt, maxTokens } = this.#prepared;
    if (resume === null) {
      this.#began = decision;
      this.#prefilledBy = '';
    }
    this.#answered = false;
    const body = encodeGenerateRequest({
      requestId: this.call.requestId,
      model: request.model,
      tokenIds: prompt.tokenIds,
      blockHashes: prompt.blockHashes,
      hashSeed: prompt.hashSeed,
      reservation: decision.reservation,
      routerBoot: decision.routerBoot,
      sampling: request.sampling,
      stop: request.stop,
      maxTokens,
      stream: request.stream,
      includeUsage: request.includeUsage,
      echo: request.echo,
      tools: request.tools === null ? '' : JSON.stringify(request.tools.tools),
      oneToolCall: request.tools?.one ?? false,
      grammar: request.grammar,
      priority: request.priority,
      resume,
      envelope: request.record?.envelope ?? '',
      keep: request.record?.keep ?? false,
      nvext: this.#nvext(),
      prefill: decision.prefill ?? null,
      ...this.#identity,
    });
    const { fleetToken, requestPlane } = this.call.settings;
    const worker = {
      worker: decision.worker,
      namespace: model.namespace,
      address: decision.address,
      fleetToken,
    };
    const response = await REQUEST_PLANES[requestPlane](this.call.env, worker, body, this.call.abort);
    if (!response.ok) throw inCallersWords(await workerError(response), this.call.endpoint);
    if (response.body === null) {
      throw new StatorError('worker_unavailable', `A worker of '${model.name}' answered without a body.`);
    }
    this.#answered = true;
    const failed = response.headers.get(PREFILL_FAILED_HEADER);
    if (failed !== null) this.#failedPrefills.add(failed);
    if (resume === null) this.#prefilledBy = response.headers.get(PREFILL_WORKER_HEADER) ?? '';
    const explained = decision.candidates === undefined ? null : decision;
    const { pools } = this.#prepared;
    const from = pools === undefined ? {} : { pool: pools.current };
    return { worker: decision.worker, response, body: response.body, explained, ...from };
  }

  #nvext(): NvextFields | null {
    const { answerExtras } = this.#prepared.request;
    if (answerExtras === undefined) return null;
    const { worker, dpRank, prefill } = this.#began!;
    const { startedMs } = this.call;
    return {
      workerId: answerExtras.workerId ? worker : '',
      dpRank,
      requestReceivedMs: answerExtras.timing ? startedMs : 0,
      elapsedMs: Math.max(Date.now() - startedMs, 0),
      prefillWorkerId: answerExtras.workerId ? this.#prefilledBy : '',
      prefillDpRank: this.#prefilledBy === '' ? 0 : (prefill?.dpRank ?? 0),
    };
  }
}
