/**
 * A child process that is started again when it dies, with exponential backoff, until it is told to stop.
 *
 * States: `running → (exited → waiting → running)* → stopping → stopped`. A child that lived long enough resets the
 * backoff. stdin stays open as a lifeline: the child ends itself when this process is gone.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { BoundedLog } from './bounded-log.ts';

export const RESTART = {
  firstDelayMs: 100,
  maxDelayMs: 10_000,
  /** A child that lived this long starts again at the first delay. */
  healthyMs: 30_000,
  /** Deaths in a row of a child that neither lived `healthyMs` nor said it was healthy, after which we give up. */
  maxAttempts: 10,
} as const;

export interface SupervisedOptions {
  name: string;
  command: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  logFile: string;
  /** After every start, the first one included. */
  onStart?(pid: number): void;
  /** Lines of the child's stdout. */
  onLine?(line: string): void;
  onExit?(info: { code: number | null; signal: NodeJS.Signals | null; restartInMs: number | null }): void;
  /** Exit codes after which a restart cannot help (bad settings, broken model). */
  permanentExitCodes?: readonly number[];
}

export class Supervised {
  readonly #options: SupervisedOptions;
  readonly #log: BoundedLog;
  #child: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #attempts = 0;
  #startedMs = 0;
  #stopping = false;

  constructor(options: SupervisedOptions) {
    this.#options = options;
    this.#log = new BoundedLog(options.logFile);
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  start(): void {
    const { command, args, env } = this.#options;
    this.#startedMs = performance.now();
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own: Ctrl-C in a terminal reaches the launcher alone, which ends its children in order.
      detached: true,
    });
    this.#child = child;
    child.stdin.on('error', () => {});
    child.stderr.on('data', (data: Buffer) => this.#log.write(data));
    this.#readLines(child);
    child.on('error', (error) => this.#log.write(`${error.message}\n`));
    child.on('close', (code, signal) => this.#closed(code, signal));
    if (child.pid !== undefined) this.#options.onStart?.(child.pid);
  }

  /** The child does its work: whatever it died of before is over. */
  healthy(): void {
    this.#attempts = 0;
  }

  /** From now on a death is not followed by a restart. */
  retire(): void {
    this.#stopping = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  /** Asks the child to end, kills it when it does not within `graceMs`; resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    this.retire();
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await gone;
      clearTimeout(killer);
    }
  }

  #readLines(child: ChildProcess): void {
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        this.#log.write(`${line}\n`);
        this.#options.onLine?.(line);
      }
    });
  }

  #closed(code: number | null, signal: NodeJS.Signals | null): void {
    this.#child = null;
    if (this.#stopping) return;
    const lived = performance.now() - this.#startedMs;
    this.#attempts = lived >= RESTART.healthyMs ? 1 : this.#attempts + 1;
    const permanent = code !== null && (this.#options.permanentExitCodes ?? []).includes(code);
    const givenUp = permanent || this.#attempts > RESTART.maxAttempts;
    const delay = Math.min(RESTART.firstDelayMs * 2 ** (this.#attempts - 1), RESTART.maxDelayMs);
    const restartInMs = givenUp ? null : delay;
    this.#log.write(
      `${JSON.stringify({ event: 'exit', name: this.#options.name, code, signal, restartInMs })}\n`,
    );
    this.#options.onExit?.({ code, signal, restartInMs });
    if (restartInMs !== null) this.#timer = setTimeout(() => this.start(), restartInMs);
  }
}
