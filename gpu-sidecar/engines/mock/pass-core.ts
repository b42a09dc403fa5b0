/**
 * One simulated GPU without time: the shared batch scheduler over a block cache, and the timing polynomial of semantics
 * §10. `pass(now)` plans a pass and says when it ends; `finish()` makes it true: KV events, then `answer` for everyone
 * whose tokens are all computed. Whose tokens those are is the caller's: the mock engine makes them up, the simulator
 * only counts them.
 *
 * Pure: no clock, timer or random. Blocks become findable when they are scheduled (requests of one pass share them),
 * their events are told at the end of the pass. Cost of a decode step: a few operations a request. Where steps only
 * repeat, `steady` says how many do, and `skip` takes them at once.
 */

import { BatchScheduler, type SchedulerShape } from '../batch-scheduler.ts';
import { BlockCache } from '../block-cache.ts';
import type { EngineLoad, EngineRequest, FinishReason, TokenLogprobs } from '../engine.ts';
import type { KvEventLog } from '../kv-event-log.ts';
import type { Sequence } from '../sequence.ts';
import { HostOffload, type HostOffloadOptions } from './host-offload.ts';
import { noWork, type PassWork, passMs, type TimingOptions } from './timing.ts';

/** What a worker does of a request: all of it, the prompt and the first token, or all but that. */
export type WorkerRole = 'aggregated' | 'prefill' | 'decode';

export interface PassCoreOptions extends TimingOptions, SchedulerShape {
  maxNumBatchedTokens: number;
  role: WorkerRole;
  events: KvEventLog;
  /** A host tier; absent: none. */
  host?: HostOffloadOptions;
}

/** Decode steps that differ in nothing but the length of the contexts. */
export interface SteadySteps {
  passes: number;
  requests: number;
  /** Sum of the context lengths in the first of them; it grows by `requests` with each. */
  contextTokens: number;
}

export class PassCore<S extends Sequence> {
  #options: PassCoreOptions;
  #cache: BlockCache;
  #scheduler: BatchScheduler<S>;
  #answer: (sequence: S) => void;
  #host: HostOffload<S> | null;
  #work: PassWork;

  constructor(options: PassCoreOptions, answer: (sequence: S) => void) {
    this.#options = options;
    this.#answer = answer;
    this.#cache = new BlockCache({ capacityBlocks: options.totalBlocks, observer: options.events });
    const { host, blockSizeTokens } = options;
    const loaded = (sequence: S) => this.#loaded(sequence);
    this.#host = host ? new HostOffload({ ...host, blockSizeTokens }, loaded) : null;
    this.#scheduler = new BatchScheduler({
      shape: options,
      cache: this.#cache,
      hooks: this,
      host: this.#host,
    });
    this.#work = noWork(options.totalBlocks * options.blockSizeTokens);
  }

  get idle(): boolean {
    return this.#scheduler.idle;
  }

  get running(): readonly S[] {
    return this.#scheduler.running;
  }

  /** What the pass under way computes; overwritten by the next. */
  get work(): Readonly<PassWork> {
    return this.#work;
  }

  get queuedTokens(): number {
    return this.#scheduler.queuedTokens;
  }

  load(): EngineLoad {
    return this.#scheduler.load();
  }

  /** Throws StatorError when a request can never or not now be taken. */
  check(request: EngineRequest): void {
    this.#scheduler.check(request);
  }

  enqueue(sequence: S): void {
    this.#scheduler.enqueue(sequence);
  }

  /** Holds blocks for a prompt that another worker has computed; false when there is no room for them now. */
  reserve(sequence: S): boolean {
    return this.#scheduler.reserve(sequence);
  }

  /** The blocks of a reserved request are here. */
  activate(sequence: S): void {
    this.#scheduler.activate(sequence);
    this.#store(sequence);
  }

  /** Gives back the blocks that an ended request kept. */
  release(sequence: S): void {
    this.#scheduler.release(sequence);
  }

  /** While reservations fail for want of room, no other request may take any. */
  set freshMustWait(mustWait: boolean) {
    this.#scheduler.freshMustWait = mustWait;
  }

  abort(sequence: S): void {
    this.#scheduler.abort(sequence);
  }

  abortAll(): void {
    this.#scheduler.abortAll();
  }

  /** Drops cached blocks that no request holds. */
  clear(): number {
    const everything = this.#cache.activeBlocks === 0;
    const count = this.#cache.clear();
    if (everything && count > 0) this.#options.events.cleared();
    return count;
  }

  /** Plans a pass that starts at `nowMs` and returns when it ends, or null when there is nothing to do. */
  pass(nowMs: number): number | null {
    const work = this.#work;
    work.prefills = work.prefixTokens = work.prefilledTokens = 0;
    work.decodingRequests = work.decodeContextTokens = 0;
    this.#host?.begin(nowMs);
    this.#scheduler.plan(this.#options.maxNumBatchedTokens);
    const { batch } = this.#scheduler;
    if (batch.length === 0) return null;
    this.#host?.store(batch);
    return (this.#host?.computeFromMs ?? nowMs) + passMs(work, this.#options);
  }

  /** When the next copy from or to the host tier ends. */
  get hostDueMs(): number {
    return this.#host?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** Time has come to `nowMs`, at the end of a pass or between two: copies that are due have ended. */
  advanceHost(nowMs: number): void {
    if (this.#host?.advance(nowMs)) this.#scheduler.wake();
  }

  /** Tells the KV events of what happened between two passes. */
  flushEvents(): void {
    this.#options.events.flush();
  }

  /** The planned pass is over. */
  finish(): void {
    this.#options.events.flush();
    const { batch } = this.#scheduler;
    for (const sequence of batch) {
      if (sequence.state !== 'running' || sequence.computed !== sequence.known) continue;
      if (this.#scheduler.begin(sequence)) this.#answer(sequence);
    }
    batch.length = 0;
  }

  /** The next token of a request, from within `answer`. */
  append(sequence: S, id: number, logprobs?: TokenLogprobs): void {
    this.#scheduler.append(sequence, id, logprobs);
  }

  end(sequence: S, reason: FinishReason, error?: Error): void {
    this.#scheduler.end(sequence, reason, error);
  }

  /** Steps that may be skipped from now on, between two passes; null when there are none. */
  steady(): SteadySteps | null {
    if (this.#host?.isQuiet === false) return null;
    const passes = this.#scheduler.steadyPasses(this.#options.maxNumBatchedTokens);
    if (passes <= 0) return null;
    const { running } = this.#scheduler;
    let contextTokens = 0;
    for (const { known } of running) contextTokens += known;
    return { passes, requests: running.length, contextTokens };
  }

  /** When the step that starts at `nowMs` ends. */
  stepEndMs(nowMs: number, step: { requests: number; contextTokens: number }): number {
    const work = this.#work;
    work.prefills = 0;
    work.decodingRequests = step.requests;
    work.decodeContextTokens = step.contextTokens;
    return nowMs + passMs(work, this.#options);
  }

  /** The outcome of that many steady steps, without `answer`. */
  skip(passes: number): void {
    this.#scheduler.skip(passes);
  }

  /** Blocks fetched from the host tier are as good as computed here. */
  #loaded(sequence: S): void {
    this.#scheduler.fetched(sequence);
    this.#cache.store(sequence.blocks, sequence.storedBlocks, sequence.heldBlocks);
    sequence.storedBlocks = sequence.heldBlocks;
  }

  canAdmit(): boolean {
    return true;
  }

  admitted(): void {}

  leaving(): void {}

  scheduled(sequence: S, tokens: number): void {
    this.#store(sequence);
    this.#count(sequence, sequence.computed - tokens);
  }

  #store(sequence: S): void {
    const complete = Math.floor(sequence.computed / this.#options.blockSizeTokens);
    if (complete <= sequence.storedBlocks) return;
    this.#cache.store(sequence.blocks, sequence.storedBlocks, complete);
    sequence.storedBlocks = complete;
  }

  /** Adds a request's part of the pass. Tokens generated before a preemption are computed again for nothing. */
  #count(sequence: S, before: number): void {
    const { role } = this.#options;
    const work = this.#work;
    const inputTokens = sequence.request.tokenIds.length;
    const prefills = before < inputTokens;
    if (prefills && role !== 'decode') {
      work.prefills++;
      work.prefixTokens += before;
      work.prefilledTokens += Math.min(sequence.computed, inputTokens);
    }
    if (role === 'prefill' || sequence.computed < sequence.known) return;
    // The pass that ends a prefill has the first token already.
    if (prefills && role === 'aggregated' && sequence.known === inputTokens) return;
    work.decodingRequests++;
    work.decodeContextTokens += sequence.known;
  }
}
