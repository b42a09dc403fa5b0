/**
 * The second way for a prompt to come to a prefill worker: a decode worker enqueues it, and the platform says who took it. One
 * call waits for what becomes of all of them. That call is the sign, and not one of the prefill worker's: the platform knows of
 * every end, also of those that a lost worker cannot tell, and no worker must be able to reach another before it is asked for
 * blocks (docs/decisions/0018).
 *
 * A worker that was lost before it had begun is replaced unseen. One that was lost after that is a failure: blocks were being
 * asked for, and computing the prompt here is sooner than beginning with another.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Logger } from '../../durable/runtime/log.ts';
import {
  type JobChange,
  JobState,
  PrefillWorkSchema,
  type WatchResponse,
} from '../proto/gen/stator/v1/prefill_queue_pb.js';
import type { Timers } from '../timers.ts';
import type { PrefillDispatcher, PrefillHost, PrefillJob } from './prefill-dispatcher.ts';
import { QueueBackoff } from './queue-backoff.ts';
import type { QueueClient } from './queue-client.ts';

export interface QueueDispatcherOptions {
  queue: Pick<QueueClient, 'enqueue' | 'cancel' | 'watch'>;
  /** Of this worker; its address is known once it listens. */
  instanceId: string;
  grpcAddress(): string;
  model: string;
  /** A job that nobody has computed by then is nobody's. */
  timeoutMs: number;
  timers: Timers;
  random: () => number;
  log: Pick<Logger, 'warn'>;
}

/** A job whose end is not known. */
interface Pending {
  job: PrefillJob;
  /** The life of the queue that knows it; empty: not enqueued yet. */
  boot: string;
  host: PrefillHost | null;
  accepted(host: PrefillHost): void;
  resolve(result: { cachedTokens: number }): void;
  reject(error: StatorError): void;
}

export class QueueDispatcher implements PrefillDispatcher {
  readonly name = 'queue';
  readonly #options: QueueDispatcherOptions;
  readonly #backoff: QueueBackoff;
  /** By the name under which it was enqueued. */
  readonly #pending = new Map<string, Pending>();
  #unwanted: string[] = [];
  #watching = false;
  #closed = false;
  #count = 0;
  #boot = '';
  #after = 0n;

  constructor(options: QueueDispatcherOptions) {
    this.#options = options;
    this.#backoff = new QueueBackoff(options.timers, options.random);
  }

  /**
   * Resolves when all blocks are computed; `accepted` is called once before. Rejects with StatorError, `cancelled` when `signal`
   * aborts: then the other end stops computing.
   */
  dispatch(
    job: PrefillJob,
    { signal, accepted }: { signal: AbortSignal; accepted(host: PrefillHost): void },
  ): Promise<{ cachedTokens: number }> {
    if (signal.aborted || this.#closed) return Promise.reject(cancelled());
    // A request may come twice, the second time as another prompt: it is never the same job.
    const name = `${job.requestId}~${++this.#count}`;
    const { promise, resolve, reject } = Promise.withResolvers<{ cachedTokens: number }>();
    this.#pending.set(name, { job, boot: '', host: null, accepted, resolve, reject });
    const abort = () => this.#giveUp(name, cancelled());
    signal.addEventListener('abort', abort, { once: true });
    void this.#enqueue(name);
    return promise.finally(() => signal.removeEventListener('abort', abort));
  }

  close(): void {
    this.#closed = true;
    for (const name of [...this.#pending.keys()]) this.#giveUp(name, cancelled());
  }

  async #enqueue(name: string): Promise<void> {
    const pending = this.#pending.get(name);
    if (pending === undefined) return;
    const { grpcAddress, instanceId, model, queue, timeoutMs } = this.#options;
    const { tokenIds, blockHashes, hashSeed, priority } = pending.job;
    const ids = new Uint8Array(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength);
    const work = create(PrefillWorkSchema, {
      tokenIds: ids,
      blockHashes,
      hashSeed,
      decodeGrpcAddress: grpcAddress(),
    });
    const message = {
      requestId: name,
      producer: instanceId,
      model,
      priority,
      timeoutMs,
      work: toBinary(PrefillWorkSchema, work),
    };
    try {
      const { boot } = await queue.enqueue(message);
      pending.boot = boot;
      // Nobody wants it any more, and the queue was told so before it had it.
      if (this.#pending.get(name) !== pending) this.#cancel(name);
      else void this.#watch();
    } catch (thrown) {
      this.#giveUp(name, toStatorError(thrown));
    }
  }

  /** As long as there is something to wait for. */
  async #watch(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    const { instanceId: producer, log, queue } = this.#options;
    while (this.#pending.size > 0) {
      const since = { producer, boot: this.#boot, after: this.#after, waitMs: LIMITS.prefillWaitMs };
      try {
        const answer = await queue.watch(since);
        this.#backoff.reset();
        this.#hear(answer);
      } catch (thrown) {
        log.warn('the prefill queue cannot be watched', { reason: toStatorError(thrown).message });
        await this.#backoff.pause();
      }
    }
    this.#watching = false;
  }

  #hear({ boot, seq, changes }: WatchResponse): void {
    for (const change of changes) this.#change(change);
    if (boot !== this.#boot) this.#compare(boot, new Set(changes.map(({ requestId }) => requestId)));
    this.#boot = boot;
    this.#after = seq;
  }

  /** Another life of the queue: of jobs enqueued before, it knows those that it told of. */
  #compare(boot: string, known: ReadonlySet<string>): void {
    for (const [name, pending] of this.#pending) {
      if (pending.boot === '' || pending.boot === boot) continue;
      if (known.has(name)) pending.boot = boot;
      else if (pending.host !== null) this.#giveUp(name, lost('the queue lost it'));
      else {
        pending.boot = '';
        void this.#enqueue(name);
      }
    }
  }

  #change({ requestId: name, state, worker, grpcAddress, reason, cachedTokens }: JobChange): void {
    const pending = this.#pending.get(name);
    if (pending === undefined) return;
    const host = { instanceId: worker, address: grpcAddress };
    switch (state) {
      case JobState.TAKEN:
        this.#taken(name, pending, host);
        break;
      case JobState.READY:
        if (!this.#taken(name, pending, host)) break;
        this.#pending.delete(name);
        pending.resolve({ cachedTokens });
        break;
      case JobState.CANCELLED:
      case JobState.EXPIRED:
        this.#giveUp(name, new StatorError('deadline_exceeded', 'no prefill worker took it in time'));
        break;
      case JobState.DEAD:
        this.#giveUp(name, new StatorError('engine_error', `no prefill worker could compute it: ${reason}`));
        break;
      default:
        if (pending.host !== null) this.#giveUp(name, lost(reason));
    }
  }

  /** False: another worker than before has it. */
  #taken(name: string, pending: Pending, host: PrefillHost): boolean {
    if (pending.host === null) {
      pending.host = host;
      pending.accepted(host);
      return true;
    }
    if (pending.host.instanceId === host.instanceId) return true;
    this.#giveUp(name, lost('another worker has it now'));
    return false;
  }

  #giveUp(name: string, error: StatorError): void {
    const pending = this.#pending.get(name);
    if (pending === undefined) return;
    this.#pending.delete(name);
    if (pending.boot !== '') this.#cancel(name);
    pending.reject(error);
  }

  /** All of a turn together. What cannot be told runs out by its time. */
  #cancel(name: string): void {
    if (this.#unwanted.push(name) > 1) return;
    const { instanceId, log, queue, timers } = this.#options;
    timers.endOfTurn(() => {
      const names = this.#unwanted;
      this.#unwanted = [];
      queue.cancel(instanceId, names.slice(0, LIMITS.prefillCallItems)).catch((thrown: unknown) => {
        log.warn('prefill jobs could not be cancelled', { reason: toStatorError(thrown).message });
      });
    });
  }
}

const cancelled = () => new StatorError('cancelled', 'the caller is gone');
const lost = (why: string) => new StatorError('worker_unavailable', `the prefill worker was lost: ${why}`);
