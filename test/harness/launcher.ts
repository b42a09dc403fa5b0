/** `node cli/bootstrap.mjs …` as a process of its own, with what it has said so far and how it ended. */

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { soon } from './soon.ts';

export type LauncherEvent = Readonly<Record<string, unknown>>;

export interface LauncherEnd {
  code: number | null;
  stdout: string;
  stderr: string;
  ms: number;
  events: readonly LauncherEvent[];
}

export class Launcher {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #closed: Promise<LauncherEnd>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const startedMs = performance.now();
    this.child = spawn(process.execPath, [join(PROJECT_ROOT, 'cli', 'bootstrap.mjs'), ...args], {
      cwd: PROJECT_ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#closed = new Promise((resolve) => {
      this.child.on('close', (code) => {
        const { stdout, stderr, events } = this;
        resolve({ code, stdout, stderr, ms: performance.now() - startedMs, events });
      });
    });
  }

  /** Complete lines of `--json`; lines in other form are left out. */
  get events(): LauncherEvent[] {
    return this.stdout
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as LauncherEvent);
  }

  /** The first event that fits, which may still be to come. */
  event(fits: (event: LauncherEvent) => boolean): Promise<LauncherEvent> {
    return soon(() => {
      const found = this.events.find(fits);
      if (!found) throw new Error(`no such event in:\n${this.stdout}${this.stderr}`);
      return found;
    });
  }

  ended(): Promise<LauncherEnd> {
    return this.#closed;
  }

  /** Ends it if it still runs: for the end of a test. */
  async end(): Promise<void> {
    if (this.child.exitCode === null) this.child.kill('SIGTERM');
    await this.#closed;
  }
}
