/**
 * A worker in virtual time: a simulated GPU (`gpu-sidecar/engines/mock/pass-core.ts`) whose passes follow one another, and
 * what it tells its router at the end of each.
 *
 * Decode steps that only repeat are taken as one run; whoever comes in the middle of a run finds the worker in the pass
 * that it would have been in without. `dueMs` is when it wants to be called next.
 */

import {
  PassCore,
  type PassCoreOptions,
  type SteadySteps,
} from '../../gpu-sidecar/engines/mock/pass-core.ts';
import type { PlannedSequence } from './planned-sequence.ts';
import type { Histogram } from './statistics.ts';

export interface SimWorkerParts {
  core: PassCoreOptions;
  interTokenMs: Histogram;
  /** The worker's state has become true at this time: its router may hear of it. */
  tell: (nowMs: number) => void;
  /** Takes runs of equal steps at once. */
  skipsSteps: boolean;
}

/** A pass as it begins; of steps that repeat, the first. */
export interface SeenPass {
  prefillTokens: number;
  decodeKvTokens: number;
  /** Tokens that wait for a later pass. */
  queuedTokens: number;
  wallMs: number;
}

interface Arriving {
  sequence: PlannedSequence;
  /** Its blocks are promised: they may be sent. */
  reserved: (nowMs: number) => void;
}

export class SimWorker {
  /** When the pass or run under way ends; infinite while there is none. */
  #endMs = Number.POSITIVE_INFINITY;
  busyMs = 0;
  /** Hears of every pass. */
  watch: ((pass: SeenPass) => void) | null = null;
  requests = 0;
  readonly #core: PassCore<PlannedSequence>;
  readonly #parts: SimWorkerParts;
  #nowMs = 0;
  /** Prompts computed elsewhere that wait for room here, in order. */
  readonly #arriving: Arriving[] = [];
  #arrivals = 0;
  /** There was none for the first of them; equal decode steps do not change that. */
  #noRoom = false;
  #run: SteadySteps | null = null;
  #runStartMs = 0;
  /** Start of the time without a pause that the worker is in; −1 while it is idle. */
  #busySinceMs = -1;
  /** When each step of the run ends. */
  #ends = new Float64Array(64);

  constructor(parts: SimWorkerParts) {
    this.#parts = parts;
    this.#core = new PassCore(parts.core, (sequence) => this.#answer(sequence));
  }

  get load() {
    return this.#core.load();
  }

  /** The time of what the core is telling just now. */
  get nowMs(): number {
    return this.#nowMs;
  }

  submit(sequence: PlannedSequence, nowMs: number): void {
    if (this.#run !== null) this.#interrupt(nowMs);
    this.requests++;
    this.#core.enqueue(sequence);
  }

  /** A prompt that another worker has computed wants to come; `reserved` is called as soon as there is room for it. */
  expect(sequence: PlannedSequence, reserved: (nowMs: number) => void, nowMs: number): void {
    if (this.#run !== null) this.#interrupt(nowMs);
    this.requests++;
    sequence.order = this.#arrivals++;
    this.#arriving.push({ sequence, reserved });
    if (!this.#inPass) this.#reserve(nowMs);
  }

  /** The blocks of an expected prompt are here. */
  activate(sequence: PlannedSequence, nowMs: number): void {
    if (this.#run !== null) this.#interrupt(nowMs);
    this.#core.activate(sequence);
    this.#reserve(nowMs);
  }

  /** Another worker has the blocks of a request that ended here. */
  release(sequence: PlannedSequence): void {
    this.#core.release(sequence);
  }

  /** When it wants to be called: at the end of a pass, or between two, when blocks have come from the host tier. */
  get dueMs(): number {
    return this.#inPass ? this.#endMs : this.#core.hostDueMs;
  }

  /** What was due has happened. */
  complete(): void {
    this.#nowMs = this.dueMs;
    this.#core.advanceHost(this.#nowMs);
    if (!this.#inPass) this.#core.flushEvents();
    else if (this.#run === null) this.#core.finish();
    else this.#take(this.#run.passes);
    this.#endMs = Number.POSITIVE_INFINITY;
    if (this.#core.idle) this.#rest();
    // Whoever waits for this worker in the router may come before this returns, or after.
    this.#parts.tell(this.#nowMs);
    this.#reserve(this.#nowMs);
  }

  #rest(): void {
    if (this.#busySinceMs >= 0) this.busyMs += this.#nowMs - this.#busySinceMs;
    this.#busySinceMs = -1;
  }

  /** Begins the next pass, where there is anything to do and none is under way. */
  drive(nowMs: number): void {
    if (this.#inPass) return;
    const promises = this.#arriving.length > 0 && !this.#noRoom;
    const steady = this.#parts.skipsSteps && !promises ? this.#core.steady() : null;
    if (steady !== null && steady.passes > 1) this.#beginRun(steady, nowMs);
    else if (!this.#core.idle) this.#beginPass(nowMs);
  }

  get #inPass(): boolean {
    return this.#endMs !== Number.POSITIVE_INFINITY;
  }

  /** One promise at a time: the next follows when that prompt is here, or at the end of a pass (as Dynamo's engine has it). */
  #reserve(nowMs: number): void {
    const first = this.#arriving[0];
    this.#noRoom = first !== undefined && !this.#core.reserve(first.sequence);
    if (first !== undefined && !this.#noRoom) {
      this.#arriving.shift();
      first.reserved(nowMs);
    }
    this.#core.freshMustWait = this.#arriving.length > 0;
  }

  #beginPass(nowMs: number): void {
    const endMs = this.#core.pass(nowMs);
    if (endMs === null) return;
    if (this.#busySinceMs < 0) this.#busySinceMs = nowMs;
    this.#endMs = endMs;
    this.#show(endMs - nowMs);
  }

  #show(wallMs: number): void {
    if (this.watch === null) return;
    const { prefilledTokens, prefixTokens, decodeContextTokens: decodeKvTokens } = this.#core.work;
    const { queuedTokens } = this.#core;
    this.watch({ prefillTokens: prefilledTokens - prefixTokens, decodeKvTokens, queuedTokens, wallMs });
  }

  #beginRun(steady: SteadySteps, nowMs: number): void {
    if (this.#ends.length < steady.passes) this.#ends = new Float64Array(2 * steady.passes);
    let endMs = nowMs;
    for (let i = 0; i < steady.passes; i++) {
      endMs = this.#core.stepEndMs(endMs, steady);
      this.#ends[i] = endMs;
      steady.contextTokens += steady.requests;
    }
    this.#run = steady;
    this.#runStartMs = nowMs;
    this.#endMs = endMs;
    if (this.watch !== null) {
      const { contextTokens: decodeKvTokens } = steady;
      this.watch({ prefillTokens: 0, decodeKvTokens, queuedTokens: 0, wallMs: this.#ends[0]! - nowMs });
    }
  }

  /** Somebody comes: the steps that are over are taken, the one under way becomes an ordinary pass. */
  #interrupt(nowMs: number): void {
    const { passes } = this.#run!;
    let over = 0;
    while (over < passes && this.#ends[over]! <= nowMs) over++;
    const endedMs = over === 0 ? this.#runStartMs : this.#ends[over - 1]!;
    if (over === 0) this.#run = null;
    else this.#take(over);
    this.#endMs = Number.POSITIVE_INFINITY;
    if (over === 0 || endedMs < nowMs) this.#beginPass(endedMs);
  }

  /** The first steps of the run are over. */
  #take(steps: number): void {
    const { requests } = this.#run!;
    const ends = this.#ends;
    const endMs = ends[steps - 1]!;
    const { interTokenMs } = this.#parts;
    for (const sequence of this.#core.running) {
      interTokenMs.add(ends[0]! - sequence.lastTokenMs);
      sequence.lastTokenMs = endMs;
    }
    for (let i = 1; i < steps; i++) interTokenMs.add(ends[i]! - ends[i - 1]!, requests);
    this.#core.skip(steps);
    this.#run = null;
  }

  #answer(sequence: PlannedSequence): void {
    if (sequence.lastTokenMs >= 0) this.#parts.interTokenMs.add(this.#nowMs - sequence.lastTokenMs);
    sequence.lastTokenMs = this.#nowMs;
    this.#core.append(sequence, 0);
  }
}
