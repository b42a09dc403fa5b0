/**
 * The mock engine in real time: runs the core's passes on a clock.
 *
 * One timer for all requests: a pass that takes no time is finished in the same turn (so requests that arrive together
 * share a pass and are answered at once), any other sleeps until its end. A pass starts where the one before ended,
 * not when the timer fired, so that paced steps keep their average; a process that fell behind by more than
 * `CATCH_UP_MS` starts afresh instead of bursting. A pass is told with the time that it was given, not with that of timers.
 */

import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { type EnginePass, PassSample } from '../../../durable/runtime/pass-sample.ts';
import type { GrammarCompiler } from '../constraint/constraint.ts';
import type {
  Embedder,
  Engine,
  EngineInfo,
  EngineRequest,
  EngineSink,
  KvEventSink,
  Vocabulary,
} from '../engine.ts';
import { KvEventLog } from '../kv-event-log.ts';
import { MockCore, type MockCoreOptions } from './core.ts';

const CATCH_UP_MS = 50;
/** Timers are no finer than this: what ends sooner has ended. */
const TIMER_GRAIN_MS = 0.5;

/** Time as the engine sees it. `after` calls back once, as soon as possible for 0, and can be cancelled. */
export interface EngineClock {
  nowMs(): number;
  after(delayMs: number, callback: () => void): () => void;
}

export const realClock: EngineClock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    if (delayMs === 0) {
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    }
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

export interface MockEngineParts {
  info: EngineInfo;
  vocabulary: Vocabulary;
  grammars?: GrammarCompiler;
  core: Omit<MockCoreOptions, 'events'>;
  clock: EngineClock;
  /** Absent: it makes no vectors. */
  embedder?: Embedder;
}

export class MockEngine implements Engine {
  readonly info: EngineInfo;
  readonly vocabulary: Vocabulary;
  readonly grammars?: GrammarCompiler;
  readonly embedder?: Embedder;
  readonly passes = new PassSample(LIMITS.passesPerReport);
  /** The one under way. */
  readonly #pass: EnginePass = { prefillTokens: 0, decodeKvTokens: 0, queuedTokens: 0, wallMs: 0 };
  #core: MockCore;
  #events = new KvEventLog();
  #clock: EngineClock;
  /** Set while a turn is due. */
  #cancelTurn: (() => void) | null = null;
  /** When the pass under way, or the last one, ends. */
  #passEndMs: number | null = null;
  #passPlanned = false;
  #stopped = false;

  constructor(parts: MockEngineParts) {
    this.info = parts.info;
    this.vocabulary = parts.vocabulary;
    if (parts.grammars !== undefined) this.grammars = parts.grammars;
    if (parts.embedder !== undefined) this.embedder = parts.embedder;
    this.#clock = parts.clock;
    this.#core = new MockCore({ ...parts.core, events: this.#events });
  }

  submit(request: EngineRequest, sink: EngineSink): { abort(): void } {
    if (this.#stopped) throw new StatorError('worker_draining', 'the engine has stopped');
    const sequence = this.#core.submit(request, sink);
    this.#cancelTurn ??= this.#clock.after(0, this.#turn);
    return { abort: () => this.#core.abort(sequence) };
  }

  onKvEvents(sink: KvEventSink): void {
    this.#events.listen(sink);
  }

  load() {
    return this.#core.load();
  }

  clearKvBlocks(): number {
    const count = this.#core.clear();
    if (!this.#passPlanned) this.#events.flush();
    return count;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTurn?.();
    this.#cancelTurn = null;
    this.#core.abortAll();
    this.#core.clear();
    this.#events.flush();
  }

  #turn = (): void => {
    this.#cancelTurn = null;
    if (this.#passPlanned) this.#finishPass();
    if (this.#stopped || this.#cancelTurn !== null) return;
    if (this.#core.idle) {
      this.#passEndMs = null;
      return;
    }
    const nowMs = this.#clock.nowMs();
    const last = this.#passEndMs;
    const startMs = last !== null && nowMs - last < CATCH_UP_MS ? last : nowMs;
    this.#passEndMs = this.#core.pass(startMs) ?? startMs;
    this.#passPlanned = true;
    this.#describe(this.#passEndMs - startMs);
    const delayMs = this.#passEndMs - nowMs;
    if (delayMs < TIMER_GRAIN_MS) this.#finishPass();
    if (this.#stopped || this.#cancelTurn !== null) return;
    if (this.#passPlanned) this.#cancelTurn = this.#clock.after(delayMs, this.#turn);
    else if (!this.#core.idle) this.#cancelTurn = this.#clock.after(0, this.#turn);
    else this.#passEndMs = null;
  };

  #finishPass(): void {
    this.#passPlanned = false;
    // Whoever hears of an end finds the pass that led to it.
    this.passes.add(this.#pass);
    this.#core.finish();
  }

  #describe(wallMs: number): void {
    const { prefilledTokens, prefixTokens, decodeContextTokens } = this.#core.work;
    this.#pass.prefillTokens = prefilledTokens - prefixTokens;
    this.#pass.decodeKvTokens = decodeContextTokens;
    this.#pass.queuedTokens = this.#core.queuedTokens;
    this.#pass.wallMs = wallMs;
  }
}
