/**
 * A prefill queue with workers on both ends, in virtual time: the real object on the polyfill, behind the real HTTP face, called
 * by the sidecar's own client. What fails is what the test says.
 */
import { create } from '@bufbuild/protobuf';
import { ObjectNamespace } from '../../../durable/polyfill/object-namespace.ts';
import { settled, VirtualHost } from '../../../durable/polyfill/virtual-host.ts';
import { PrefillQueue } from '../../../durable/prefill-queue/prefill-queue-object.ts';
import { StatorError } from '../../../durable/runtime/errors.ts';
import type { Env, PrefillQueueStub } from '../../../functions/env.ts';
import { prefillQueue } from '../../../functions/fleet/prefill-queue.ts';
import { errorResponse } from '../../../functions/middleware/errors.ts';
import type { PrefillJob } from '../../../gpu-sidecar/disagg/prefill-dispatcher.ts';
import { HttpQueueClient } from '../../../gpu-sidecar/disagg/queue-client.ts';
import { QueueConsumer, type QueueConsumerOptions } from '../../../gpu-sidecar/disagg/queue-consumer.ts';
import { QueueDispatcher } from '../../../gpu-sidecar/disagg/queue-dispatcher.ts';
import { PrefillPeerSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import type { Timers } from '../../../gpu-sidecar/timers.ts';

const NAMESPACE = 'default';
const FLEET_TOKEN = 'token';
const log = { warn() {} };

/** The way of one worker to the platform. */
export interface Line {
  /** `away`: calls fail. `lossy`: they arrive, and their answers are lost. `dead`: the worker is no more, and nothing arrives or returns. */
  state: 'up' | 'away' | 'lossy' | 'dead';
}

/** One computation, which the test ends. */
export interface Computation {
  worker: string;
  requestId: string;
  delivery: number;
  tokenIds: number[];
  signal: AbortSignal;
  begin(): void;
  done(cachedTokens?: number): void;
  fail(error: unknown): void;
}

export interface PrefillWorker {
  instanceId: string;
  line: Line;
  consumer: QueueConsumer;
}

export class QueueWorld {
  readonly host = new VirtualHost({ startMs: 1_000 });
  readonly objects = new ObjectNamespace(PrefillQueue, { env: {}, host: this.host, report: () => {} });
  readonly computations: Computation[] = [];
  /** What a computation does at once; the test does it where there is nothing. */
  script: (computation: Computation) => void = () => {};
  readonly timers: Timers = {
    after: (delayMs, run) => {
      let wanted = true;
      this.host.after(delayMs, () => wanted && run());
      return () => {
        wanted = false;
      };
    },
    endOfTurn: (run) => void setImmediate(run),
  };
  readonly #env = {
    PREFILL_QUEUE: this.objects,
    STATOR_FLEET_TOKEN: FLEET_TOKEN,
  } as unknown as Env;
  #workers = 0;

  get queue(): PrefillQueueStub {
    return this.objects.getByName(NAMESPACE) as unknown as PrefillQueueStub;
  }

  /** The platform's object dies and begins again from its disk. */
  crash(): void {
    this.objects.crash(this.objects.idFromName(NAMESPACE));
  }

  /** `room`: most jobs at once. */
  prefillWorker({
    room = 4,
    ...options
  }: {
    room?: number;
    queue?: QueueConsumerOptions['queue'];
  } = {}): PrefillWorker {
    const instanceId = `f${++this.#workers}`.padStart(16, '0');
    const line: Line = { state: 'up' };
    const consumer: QueueConsumer = new QueueConsumer({
      queue: this.#client(line),
      instanceId,
      grpcAddress: () => `${instanceId}:1`,
      model: 'm',
      room: () => room - consumer.active,
      compute: (job, { signal, begun }) => {
        const { promise, resolve, reject } = Promise.withResolvers<{ cachedTokens: number }>();
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        const { requestId, delivery } = job;
        const computation: Computation = {
          worker: instanceId,
          requestId: requestId.split('~')[0]!,
          delivery,
          tokenIds: [...job.tokenIds],
          signal,
          begin: begun,
          done: (cachedTokens = 0) => resolve({ cachedTokens }),
          fail: reject,
        };
        this.computations.push(computation);
        this.script(computation);
        return promise;
      },
      clock: this.host,
      timers: this.timers,
      random: () => 0.5,
      log,
      ...options,
    });
    consumer.start();
    return { instanceId, line, consumer };
  }

  decodeWorker(): { line: Line; dispatcher: QueueDispatcher } {
    const instanceId = `d${++this.#workers}`.padStart(16, '0');
    const line: Line = { state: 'up' };
    const dispatcher = new QueueDispatcher({
      queue: this.#client(line),
      instanceId,
      grpcAddress: () => `${instanceId}:1`,
      model: 'm',
      timeoutMs: 30_000,
      timers: this.timers,
      random: () => 0.5,
      log,
    });
    return { line, dispatcher };
  }

  /** Time passes, and whatever is to happen in it does. */
  async pass(durationMs: number, stepMs = 100): Promise<void> {
    await this.settle();
    for (let passedMs = 0; passedMs < durationMs; passedMs += stepMs) {
      await this.host.advance(Math.min(stepMs, durationMs - passedMs));
      await this.settle();
    }
  }

  /** Calls through streams take some turns of the event loop. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 12; turn++) await settled();
  }

  #client(line: Line): HttpQueueClient {
    const answer = async (url: string, init: RequestInit): Promise<Response> => {
      const [, namespace = '', method = ''] = /prefill-queue\/([^/]+)\/([^/]+)$/.exec(url) ?? [];
      try {
        const { signal: _signal, ...rest } = init;
        return await prefillQueue(this.#env, new Request(url, rest), { namespace, method });
      } catch (thrown) {
        // What an object's death gives is not worth a line of log each.
        if (!(thrown instanceof StatorError)) return new Response(null, { status: 500 });
        return errorResponse(thrown, { requestId: 'r', api: 'openai' });
      }
    };
    return new HttpQueueClient({
      platformUrl: () => 'http://platform',
      namespace: NAMESPACE,
      fleetToken: FLEET_TOKEN,
      callMs: 60_000,
      fetcher: async (url, init = {}) => {
        if (line.state === 'away') throw new TypeError('fetch failed');
        if (line.state === 'dead') return new Promise<Response>(() => {});
        const response = await answer(url, init);
        // As it is when the answer comes.
        if ((line.state as Line['state']) === 'dead') return new Promise<Response>(() => {});
        if (line.state === 'lossy') throw new TypeError('terminated');
        return response;
      },
    });
  }
}

export const queueJob = (requestId: string, others: Partial<PrefillJob> = {}): PrefillJob => ({
  requestId,
  // The router's choice, which means nothing here.
  peer: create(PrefillPeerSchema, { instanceId: '00000000000000ff' }),
  routerBoot: 1,
  tokenIds: Uint32Array.of(1, 2, 0xffff_ffff),
  blockHashes: new Uint8Array(8),
  hashSeed: 7n,
  priority: 0,
  ...others,
});

/** What a dispatch has come to so far. */
export interface Outcome {
  hosts: string[];
  /** Of its end: the tokens, or an error's code; null: not yet. */
  end: number | string | null;
  ends: number;
  abort(): void;
}

export function dispatched(dispatcher: QueueDispatcher, job: PrefillJob): Outcome {
  const controller = new AbortController();
  const outcome: Outcome = { hosts: [], end: null, ends: 0, abort: () => controller.abort() };
  const hooks = {
    signal: controller.signal,
    accepted: ({ instanceId }: { instanceId: string }) => void outcome.hosts.push(instanceId),
  };
  const over = (end: number | string) => {
    outcome.ends++;
    outcome.end = end;
  };
  dispatcher.dispatch(job, hooks).then(
    ({ cachedTokens }) => over(cachedTokens),
    (thrown: unknown) => over(thrown instanceof StatorError ? thrown.code : String(thrown)),
  );
  return outcome;
}
