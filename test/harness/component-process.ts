/** `stator run-component` as a process of its own, for end-to-end tests. Ended with the test file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll } from 'vitest';
import { PROJECT_ROOT } from '../../cli/paths.ts';

const running = new Set<ChildProcess>();

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
});

export interface CommandProcess {
  readonly child: ChildProcess;
  /** Lines of its standard output, as JSON. */
  readonly events: Record<string, unknown>[];
  /** The event of that name, when it has come. Rejects when the process ends before. */
  event(name: string): Promise<Record<string, unknown>>;
  /** Ends it and gives its exit code; null: killed. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
  log(): string;
}

/** A command of `stator` with `--json`. */
export function command(args: readonly string[], env: Record<string, string> = {}): CommandProcess {
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'cli', 'main.ts'), ...args, '--json'], {
    env: { ...process.env, NODE_NO_WARNINGS: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const events: Record<string, unknown>[] = [];
  const heard = new Set<() => void>();
  let log = '';
  child.stderr.on('data', (data: Buffer) => {
    log += data.toString();
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    events.push(JSON.parse(line));
    for (const hear of heard) hear();
  });
  child.once('exit', () => running.delete(child));
  return {
    child,
    events,
    log: () => log,
    event: (name) =>
      new Promise((resolve, reject) => {
        const hear = () => {
          const found = events.find(({ event }) => event === name);
          if (found !== undefined) resolve(found);
        };
        heard.add(hear);
        hear();
        child.once('exit', (code) => reject(new Error(`ended with ${code} before ${name}:\n${log}`)));
      }),
    async stop(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      const gone = once(child, 'exit');
      child.kill(signal);
      return ((await gone) as [number | null])[0];
    },
  };
}
