/** A worker as a process that nobody started but the test: it knows the fleet token and what its environment says, no platform. */
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

export interface WorkerProcess {
  readonly child: ChildProcess;
  /** Of the last line that said it: `starting`, `serving`, … */
  phase(): string;
  /** Hex. */
  instance(): string;
  log(): string;
  kill(signal: NodeJS.Signals): Promise<void>;
}

export function startWorker(env: Record<string, string>): WorkerProcess {
  const { STATOR_PLATFORM_URL: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'gpu-sidecar', 'main.ts')], {
    env: { ...inherited, NODE_NO_WARNINGS: '1', STATOR_ENGINE: 'mock', STATOR_ENGINE_SPEEDUP: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let last: { phase?: string; instance?: string } = {};
  let log = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    log += `${line}\n`;
    last = { ...last, ...(JSON.parse(line) as object) };
  });
  child.stderr.on('data', (data: Buffer) => {
    log += data.toString();
  });
  return {
    child,
    phase: () => last.phase ?? '',
    instance: () => last.instance ?? '',
    log: () => log,
    async kill(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    },
  };
}
