/**
 * Is a grammar harmless enough to be compiled between two tokens of others? A thread tries it first (`compile-thread.ts`), one
 * grammar after the other. One that costs too much processor time is refused; a thread that takes too long, or breaks,
 * is ended with the grammar that it was at, and the next check begins another. Outcomes are remembered, the last ones.
 */

import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { systemTimers, type Timers } from '../../timers.ts';

export interface CheckQuestion {
  grammars: string;
}

export type CheckAnswer = { kind: 'ready' } | { kind: 'checked'; reason: string | null; cpuMs: number };

/** The other side: `ended` comes at most once, after which nothing else does. */
export interface CheckThread {
  ask(question: CheckQuestion): void;
  end(): void;
}

export type StartThread = (tell: { answer(answer: CheckAnswer): void; ended(): void }) => CheckThread;

interface Check {
  grammars: string;
  settle(reason: string | null): void;
}

const CANNOT_RUN = 'the thread that looks at grammars does not start';

export class GrammarChecks {
  readonly #start: StartThread;
  readonly #timers: Timers;
  readonly #known = new Map<string, string | null>();
  /** The first is with the thread, once that is ready. */
  readonly #waiting: Check[] = [];
  #thread: { thread: CheckThread; ready: boolean } | null = null;
  #cancelDeadline: (() => void) | null = null;

  constructor(parts: { start: StartThread; timers: Timers }) {
    this.#start = parts.start;
    this.#timers = parts.timers;
  }

  /** Begins the thread, so that the first check does not wait for it. */
  warm(): void {
    if (this.#thread === null) this.#next();
  }

  /** Why the grammar is refused; null: it is not. Throws StatorError `overloaded`. */
  async check(grammars: string): Promise<string | null> {
    const known = this.#known.get(grammars);
    if (known !== undefined) return known;
    if (this.#waiting.length >= LIMITS.grammarChecks) {
      throw new StatorError('overloaded', 'too many grammars wait to be looked at', { retryAfterS: 1 });
    }
    const { promise, resolve } = Promise.withResolvers<string | null>();
    this.#waiting.push({ grammars, settle: resolve });
    if (this.#waiting.length === 1) this.#next();
    return promise;
  }

  /** The thread is begun before it is needed, and again after one was ended. */
  #next(): void {
    if (this.#thread === null) {
      this.#deadline(LIMITS.grammarThreadMs, CANNOT_RUN);
      this.#thread = { thread: this.#begin(), ready: false };
      return;
    }
    const check = this.#waiting[0];
    if (check === undefined || !this.#thread.ready) return;
    this.#deadline(LIMITS.grammarCheckMs, `it takes longer than ${LIMITS.grammarCheckMs} ms to compile`);
    this.#thread.thread.ask({ grammars: check.grammars });
  }

  #deadline(delayMs: number, reason: string): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = this.#timers.after(delayMs, () => {
      this.#end();
      this.#settle(reason);
    });
  }

  #begin(): CheckThread {
    const thread = this.#start({
      answer: (answer) => {
        if (this.#thread?.thread !== thread) return;
        if (answer.kind === 'checked') this.#settle(verdict(answer));
        else {
          this.#thread.ready = true;
          this.#cancelDeadline?.();
          this.#next();
        }
      },
      ended: () => {
        if (this.#thread?.thread !== thread) return;
        const reason = this.#thread.ready ? 'it is nested too deeply' : CANNOT_RUN;
        this.#end();
        this.#settle(reason);
      },
    });
    return thread;
  }

  #end(): void {
    this.#thread?.thread.end();
    this.#thread = null;
  }

  #settle(reason: string | null): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = null;
    const check = this.#waiting.shift();
    if (check === undefined) return;
    this.#known.set(check.grammars, reason);
    if (this.#known.size > LIMITS.knownGrammars) this.#known.delete(this.#known.keys().next().value!);
    check.settle(reason);
    this.#next();
  }
}

function verdict({ reason, cpuMs }: { reason: string | null; cpuMs: number }): string | null {
  if (cpuMs <= LIMITS.grammarCompileMs) return reason;
  return `it takes more than ${LIMITS.grammarCompileMs} ms of processor time to compile`;
}

/** A thread of Node that does not keep the process alive. */
const startThread: StartThread = (tell) => {
  const worker = new Worker(fileURLToPath(new URL('./compile-thread.ts', import.meta.url).href));
  worker.on('message', (answer: CheckAnswer) => tell.answer(answer));
  // What broke is told by its end.
  worker.on('error', () => {});
  worker.once('exit', () => tell.ended());
  // Behind the listeners: to listen is to keep alive.
  worker.unref();
  return {
    ask: (question) => worker.postMessage(question),
    end: () => void worker.terminate(),
  };
};

/** One for all engines of the process. */
export const grammarChecks = new GrammarChecks({ start: startThread, timers: systemTimers });
