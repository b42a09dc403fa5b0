/** A real nats-server on a free port of loopback, from Debian's package, which is installed where it is missing. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../cli/launch/ports.ts';
import { soon } from '../harness/soon.ts';

const PROGRAM = 'nats-server';

/** Throws saying what the machine lacks. */
function installed(): string {
  const exists = () => {
    try {
      execFileSync(PROGRAM, ['--version'], { stdio: 'ignore', env: withSbin() });
      return true;
    } catch {
      return false;
    }
  };
  if (!exists()) {
    execFileSync('apt-get', ['update', '-q'], { stdio: 'ignore' });
    execFileSync('apt-get', ['install', '-y', '-q', PROGRAM], { stdio: 'ignore' });
  }
  if (!exists()) throw new Error(`${PROGRAM} is missing (Debian: apt-get install ${PROGRAM})`);
  return PROGRAM;
}

/** Debian has it where only root's shells look. */
const withSbin = () => ({ ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` });

export class NatsServer {
  readonly port: number;
  readonly url: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'stator-nats-'));
  readonly #config: string;
  #child: ChildProcess | null = null;

  private constructor(port: number, config: string) {
    this.port = port;
    this.url = `nats://127.0.0.1:${port}`;
    this.#config = config;
  }

  /** `config`: further lines of its configuration. */
  static async start(config = ''): Promise<NatsServer> {
    installed();
    const server = new NatsServer(await freePort(), config);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const file = join(this.#folder, 'nats.conf');
    const jetstream = `jetstream { store_dir: "${this.#folder}/jetstream" }`;
    writeFileSync(file, `listen: "127.0.0.1:${this.port}"\n${jetstream}\n${this.#config}\n`);
    this.#child = spawn(PROGRAM, ['-c', file], { stdio: 'ignore', env: withSbin() });
    await soon(() => listening(this.port));
  }

  /** As a power failure would. What JetStream has on disk stays. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** What JetStream has on disk. */
  forget(): void {
    rmSync(join(this.#folder, 'jetstream'), { recursive: true, force: true });
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const listening = (port: number) =>
  new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
  });
