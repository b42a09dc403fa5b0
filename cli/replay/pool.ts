/**
 * Workers of one kind behind one router: a request is routed, computed by the worker that the router chose, and told of
 * to the router and to whoever submitted it.
 */

import type { RouteRequest } from '../../durable/router/rpc.ts';
import type { EngineSink } from '../../gpu-sidecar/engines/engine.ts';
import { KvEventLog } from '../../gpu-sidecar/engines/kv-event-log.ts';
import type { PassCoreOptions } from '../../gpu-sidecar/engines/mock/pass-core.ts';
import { drainingFrame, instanceId, SIM_MODEL } from './fleet-hello.ts';
import { FleetLine } from './fleet-line.ts';
import { FreshHashes, type PlannedSequence, planSequence } from './planned-sequence.ts';
import type { Prompt } from './prompts.ts';
import type { SimLink, SimRouter } from './sim-router.ts';
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
  /** `done` is given where the blocks are kept for another worker: to be called when that has them. */
  ended(nowMs: number, outputTokens: number, done: (nowMs: number) => void): void;
  /** The router or the workers cannot take it. */
  rejected(): void;
}

export interface SimRequest {
  readonly traced: TraceRequest;
  readonly prompt: Prompt;
  readonly maxTokens: number;
}

/** What is done with a routed request; the choice may come later, when the router makes requests wait. */
type Place = (worker: SimWorker, sequence: PlannedSequence, nowMs: number) => void;

export class Pool {
  readonly workers: SimWorker[] = [];
  readonly #options: PoolOptions;
  readonly #router: SimRouter;
  readonly #fresh = new FreshHashes();
  readonly #lines: FleetLine[] = [];
  readonly #links: SimLink[] = [];
  readonly #byInstance = new Map<string, number>();
  /** By worker: requests that it was given and has not done with, blocks kept for another worker included. */
  readonly #open: number[] = [];
  #toldMs = 0;

  constructor(options: PoolOptions, router: SimRouter) {
    this.#options = options;
    this.#router = router;
    for (let number = 0; number < options.workers; number++) this.grow(0);
  }

  /** One more worker, ready now, with an empty cache; returns its number. */
  grow(nowMs: number): number {
    const number = this.workers.length;
    const { engine, publishesKvEvents, interTokenMs, skipsSteps } = this.#options;
    const { blockSizeTokens, totalBlocks, maxNumSeqs, maxNumBatchedTokens } = engine;
    const line = new FleetLine((frame) => this.#links[number]!.send(frame, this.#toldMs));
    const events = new KvEventLog();
    const core: PassCoreOptions = { ...engine, events };
    if (publishesKvEvents) {
      events.listen(line);
      if (engine.host) core.host = { ...engine.host, events: line.host };
    }
    this.#lines.push(line);
    this.#open.push(0);
    this.#byInstance.set(instanceId(number), number);
    const tell = (nowMs: number) => this.#flush(line, nowMs);
    this.workers.push(new SimWorker({ core, interTokenMs, skipsSteps, tell }));
    // Last: requests that wait in the router may be given to it before this returns.
    const card = { number, blockSizeTokens, totalBlocks, maxNumSeqs, maxNumBatchedTokens, publishesKvEvents };
    this.#links.push(this.#router.join(card, nowMs));
    return number;
  }

  /** A worker takes no new requests from now on; it ends those it has. */
  drain(number: number, nowMs: number): void {
    this.#links[number]!.send(drainingFrame(), nowMs);
  }

  /** Nothing is left that a worker was given. */
  isIdle(number: number): boolean {
    return this.#open[number] === 0;
  }

  /** A drained worker goes, and its cache with it. */
  leave(number: number, nowMs: number): void {
    this.#links[number]!.leave(nowMs);
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
    this.#route(request, listener, nowMs, (worker, sequence, atMs) => worker.submit(sequence, atMs));
  }

  /** The same for a prompt computed elsewhere: `reserved` hears when its blocks may be sent, and how to say that they came. */
  expect(
    request: SimRequest,
    listener: RequestListener,
    nowMs: number,
    reserved: (reservedMs: number, activate: (nowMs: number) => void) => void,
  ): void {
    this.#route(request, listener, nowMs, (worker, sequence, atMs) => {
      const activate = (activeMs: number) => worker.activate(sequence, activeMs);
      worker.expect(sequence, (reservedMs) => reserved(reservedMs, activate), atMs);
    });
  }

  #route(request: SimRequest, listener: RequestListener, nowMs: number, place: Place): void {
    const { traced, prompt } = request;
    const ask: RouteRequest = {
      requestId: '',
      model: SIM_MODEL,
      blockHashes: prompt.localBytes,
      promptTokens: traced.inputTokens,
    };
    this.#router.route(ask, nowMs, (answer, decidedMs) => {
      if (answer.kind === 'refusal') {
        listener.rejected();
        return;
      }
      const number = this.#byInstance.get(answer.worker)!;
      const { reservation } = answer;
      this.#lines[number]!.accepted(reservation);
      this.#open[number]!++;
      place(this.workers[number]!, this.#plan(request, { number, reservation, listener }), decidedMs);
    });
  }

  #plan(
    { traced, prompt, maxTokens }: SimRequest,
    routed: { number: number; reservation: number; listener: RequestListener },
  ): PlannedSequence {
    const { blockSizeTokens, role } = this.#options.engine;
    const sequence: PlannedSequence = planSequence(traced, {
      prompt,
      maxTokens,
      blockSizeTokens,
      fresh: this.#fresh,
      sink: this.#sink(routed, traced.inputTokens, () => sequence),
    });
    sequence.keepsBlocks = role === 'prefill';
    return sequence;
  }

  /** Tells router and listener. */
  #sink(
    { number, reservation, listener }: { number: number; reservation: number; listener: RequestListener },
    inputTokens: number,
    self: () => PlannedSequence,
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
      end: (reason) => {
        const sequence = self();
        const { generated } = sequence;
        if (!sequence.keepsBlocks) {
          line.ended(reservation, generated, reason);
          this.#open[number]!--;
        }
        listener.ended(worker.nowMs, generated, (nowMs) => {
          this.#open[number]!--;
          worker.release(sequence);
          line.ended(reservation, generated, reason);
          this.#flush(line, nowMs);
        });
      },
    };
  }

  #flush(line: FleetLine, nowMs: number): void {
    this.#toldMs = nowMs;
    line.flush();
  }
}
