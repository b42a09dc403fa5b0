/**
 * The peer (NVIDIA Dynamo, its own mocker workers) as a side of the benchmark. `--peer DIR` names a folder with
 * `dynamo/{start.sh,stop.sh,env.sh,mkmodel.py}`; it is copied into the state folder, given a Python environment once, and
 * started on free ports. Nothing of it is part of this project.
 */

import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { platformClient, waitFor } from '../../cli/launch/platform-client.ts';
import { choosePort, freePort } from '../../cli/launch/ports.ts';
import { STATE_DIR } from '../../cli/paths.ts';
import type { Side } from './cells.ts';

const VERSION = '1.6.1';
const SYSTEM_PORT = 19_400;
const PACKAGES = [
  'aiohttp>=3.14.3,<4',
  'certifi',
  'msgspec',
  'prometheus-client',
  'pyzmq',
  'redis<9',
  'tqdm',
  'typing-extensions',
  'zstandard<1',
  'pydantic<=2.13.5',
  'uvloop',
  'transformers>=4.56',
  'kubernetes>=32.0.1,<33',
];

export interface Peer {
  side: Side;
  tokenizer: string;
  stop(): void;
}

/** Installs once (minutes) and returns the folder with the tokenizer. */
export function preparePeer(source: string): string {
  const home = join(STATE_DIR, 'peer', 'dynamo');
  const from = resolve(source, 'dynamo');
  if (!existsSync(join(from, 'start.sh'))) throw new Error(`--peer: there is no ${from}/start.sh`);
  cpSync(from, home, { recursive: true });
  const run = (command: string, args: string[]) =>
    execFileSync(command, args, { cwd: home, stdio: ['ignore', 2, 2] });
  execFileSync('chmod', ['-R', 'u+w', home]);
  if (!existsSync(join(home, 'ready'))) {
    process.stderr.write('installing the peer (once, some minutes) …\n');
    run('python3', ['-m', 'venv', 'venv']);
    const pip = join(home, 'venv', 'bin', 'pip');
    run(pip, ['install', '-q', '--no-deps', `ai-dynamo==${VERSION}`, `ai-dynamo-runtime==${VERSION}`]);
    run(pip, ['install', '-q', ...PACKAGES]);
    run(join(home, 'venv', 'bin', 'python'), ['mkmodel.py', 'model']);
    run('touch', ['ready']);
  }
  return home;
}

/** start.sh gives up waiting on a slow machine; the mocker does not. */
function modelListed(port: number): Promise<string[]> {
  return waitFor(() => platformClient(`http://127.0.0.1:${port}`, '').readyModels(), {
    timeoutMs: 120_000,
    everyMs: 100,
    timeout: () => new Error('the peer does not list its model'),
  });
}

/** `speedup` as the mocker understands it: 1 = its timing polynomial, 1000000 = no delay (0 would mean 1). */
export async function startPeer(home: string, options: { workers: number; speedup: number }): Promise<Peer> {
  const port = await freePort();
  // Its own check takes signed 16 bits, so not a port of the ephemeral range.
  const system = await choosePort('127.0.0.1', SYSTEM_PORT, { given: false });
  const env = { ...process.env, PORT: String(port), SYS_PORT: String(system), RUN: 'run' };
  const args = ['start.sh', 'kv', String(options.workers), String(options.speedup)];
  const stop = () => {
    execFileSync('bash', ['stop.sh'], { cwd: home, env, stdio: ['ignore', 2, 2] });
  };
  try {
    await promisify(execFile)('bash', args, { cwd: home, env });
    await modelListed(port);
  } catch (error) {
    stop();
    throw error;
  }
  const pids = readFileSync(join(home, 'run', 'pids'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  const pidsOf = (test: (name: string) => boolean) =>
    pids.filter(([name]) => test(name as string)).map(([, pid]) => Number(pid));
  return {
    tokenizer: join(home, 'model', 'tokenizer.json'),
    side: {
      name: 'dynamo',
      host: '127.0.0.1',
      port,
      model: 'tiny',
      frontendPids: pidsOf((name) => name === 'frontend'),
      workerPids: pidsOf((name) => name !== 'frontend'),
    },
    stop,
  };
}
