/**
 * Workers of one kind behind one router: a request is routed, computed by the worker that the router chose, and told of
 * to the router and to whoever submitted it.
 */

import type { RouteRequest } from '../../durable/router/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { EngineSink } from '../../gpu-sidecar/engines/engine.ts';
import { KvEventLog } from '../../gpu-sidecar/engines/kv-event-log.ts';
import type { PassCoreOptions } from '../../gpu-sidecar/engines/mock/pass-core.ts';
import type { SimRouter } from './direct-router.ts';
import { instanceId, SIM_MODEL } from './fleet-hello.ts';
import { FleetLine } from './fleet-line.ts';
import { FreshHashes, type PlannedSequence, planSequence } from './planned-sequence.ts';
import type { Prompt } from './prompts.ts';
import { SimWorker } from './sim-worker.ts';
import type { Histogram } from './statistics.ts';
import type { TraceRequest } from './trace.ts';

export interface PoolOptions {
  workers: number;
  engine: Omit<PassCoreOptions, 'events'>;
  publishesKvEvents: boolean;
  tracksOutputBlocks: boolean;
  skipsSteps: boolean;
  interTokenMs: Histogram;
}

/** What becomes of a request, in order: started, first token, end. */
export interface RequestListener {
  started(cachedTokens: number): void;
  firstToken(nowMs: number): void;
  ended(nowMs: number, outputTokens: number): void;
}

export interface SimRequest {
  readonly traced: TraceRequest;
  readonly prompt: Prompt;
  readonly maxTokens: number;
}

export class Pool {
  readonly workers: SimWorker[] = [];
  readonly #options: PoolOptions;
  readonly #router: SimRouter;
  readonly #fresh = new FreshHashes();
  readonly #lines: FleetLine[] = [];
  readonly #byInstance = new Map<string, number>();

  constructor(options: PoolOptions, router: SimRouter) {
    this.#options = options;
    this.#router = router;
    for (let number = 0; number < options.workers; number++) this.#add(number);
  }

  /** When the next pass ends. */
  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const worker of this.workers) if (worker.dueMs < dueMs) dueMs = worker.dueMs;
    return dueMs;
  }

  /** Everything that has ended by now has ended. */
  complete(nowMs: number): void {
    for (const worker of this.workers) if (worker.dueMs <= nowMs) worker.complete();
  }

  /** Idle workers begin their next pass. */
  drive(nowMs: number): void {
    for (const worker of this.workers) worker.drive(nowMs);
  }

  /** Routes a request and gives it to the chosen worker. */
  submit(request: SimRequest, listener: RequestListener, nowMs: number): void {
    const { traced, prompt } = request;
    const ask: RouteRequest = {
      requestId: '',
      model: SIM_MODEL,
      blockHashes: prompt.localBytes,
      promptTokens: traced.inputTokens,
    };
    const answer = this.#router.route(ask, nowMs);
    if (answer.kind === 'refusal') {
      throw new StatorError('internal', `the router refused a simulated request: ${answer.message}`);
    }
    if (answer.kind === 'ticket') throw new StatorError('internal', 'no queue in the simulator yet');
    const number = this.#byInstance.get(answer.worker)!;
    this.#lines[number]!.accepted(answer.reservation);
    const sequence = this.#plan(request, { number, reservation: answer.reservation, listener });
    this.workers[number]!.submit(sequence, nowMs);
  }

  #plan(
    { traced, prompt, maxTokens }: SimRequest,
    parts: { number: number; reservation: number; listener: RequestListener },
  ): PlannedSequence {
    const { blockSizeTokens } = this.#options.engine;
    const sequence: PlannedSequence = planSequence(traced, {
      prompt,
      maxTokens,
      blockSizeTokens,
      fresh: this.#fresh,
      sink: this.#sink(parts, traced.inputTokens, () => sequence.generated),
    });
    return sequence;
  }

  #sink(
    { number, reservation, listener }: { number: number; reservation: number; listener: RequestListener },
    inputTokens: number,
    generated: () => number,
  ): EngineSink {
    const line = this.#lines[number]!;
    const worker = this.workers[number]!;
    const { tracksOutputBlocks, engine } = this.#options;
    let cached = 0;
    return {
      started(cachedTokens) {
        cached = cachedTokens;
        listener.started(cachedTokens);
      },
      token(_id, index) {
        if (index === 0) {
          line.firstToken(reservation, cached);
          listener.firstToken(worker.nowMs);
        } else if (tracksOutputBlocks && (inputTokens + index) % engine.blockSizeTokens === 0) {
          line.grown(reservation, index + 1);
        }
      },
      end(reason) {
        line.ended(reservation, generated(), reason);
        listener.ended(worker.nowMs, generated());
      },
    };
  }

  #add(number: number): void {
    const { engine, publishesKvEvents, interTokenMs, skipsSteps } = this.#options;
    const { blockSizeTokens, totalBlocks, maxNumSeqs, maxNumBatchedTokens } = engine;
    const send = this.#router.join({
      number,
      blockSizeTokens,
      totalBlocks,
      maxNumSeqs,
      maxNumBatchedTokens,
      publishesKvEvents,
    });
    let toldMs = 0;
    const line = new FleetLine((frame) => send(frame, toldMs));
    const events = new KvEventLog();
    if (publishesKvEvents) events.listen(line);
    const tell = (nowMs: number) => {
      toldMs = nowMs;
      line.flush();
    };
    this.#lines.push(line);
    this.#byInstance.set(instanceId(number), number);
    this.workers.push(new SimWorker({ core: { ...engine, events }, interTokenMs, skipsSteps, tell }));
  }
}
