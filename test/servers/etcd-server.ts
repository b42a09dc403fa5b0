/**
 * A real etcd: the one that is installed, else Debian's package, installed when we may. On free ports, with a folder of its
 * own that is thrown away; it can be killed and started again, with its data or without.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../cli/launch/ports.ts';
import { eventually } from '../harness/deployment.ts';

const run = promisify(execFile);
const INSTALL_TIMEOUT_MS = 420_000;

function installed(): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'etcd')).find(existsSync) ?? null;
}

/** Path of etcd. Throws saying what to install when there is none and it cannot be installed from here. */
async function etcdBinary(): Promise<string> {
  const found = installed();
  if (found) return found;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error('etcd is missing, and only root on Debian can install it here: put one on PATH');
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { timeout: INSTALL_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024, env };
  await run('apt-get', ['update', '-qq'], options);
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'etcd-server'], options);
  const fresh = installed();
  if (!fresh) throw new Error('apt-get installed etcd-server, but there is no etcd on PATH');
  return fresh;
}

export class EtcdServer {
  readonly url: string;
  readonly #binary: string;
  readonly #peerUrl: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'stator-etcd-'));
  #process: ChildProcess | null = null;

  private constructor(binary: string, port: number, peerPort: number) {
    this.#binary = binary;
    this.url = `http://127.0.0.1:${port}`;
    this.#peerUrl = `http://127.0.0.1:${peerPort}`;
  }

  static async start(): Promise<EtcdServer> {
    const binary = await etcdBinary();
    const server = new EtcdServer(binary, await freePort('127.0.0.1'), await freePort('127.0.0.1'));
    await server.up();
    return server;
  }

  /** Resolves when it answers. */
  async up(): Promise<void> {
    const addresses = ['--listen-client-urls', this.url, '--advertise-client-urls', this.url];
    const peers = ['--listen-peer-urls', this.#peerUrl, '--initial-advertise-peer-urls', this.#peerUrl];
    const cluster = ['--initial-cluster', `default=${this.#peerUrl}`, '--log-level', 'error'];
    const data = ['--data-dir', join(this.#folder, 'data')];
    this.#process = spawn(this.#binary, [...data, ...addresses, ...peers, ...cluster], { stdio: 'ignore' });
    await eventually('etcd answering', async () => {
      const init = { method: 'POST', body: '{"key":"AA=="}' };
      const response = await fetch(`${this.url}/v3/kv/range`, init).catch(() => null);
      return response?.ok ? true : null;
    });
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  async restart({ empty }: { empty: boolean }): Promise<void> {
    await this.kill();
    if (empty) rmSync(join(this.#folder, 'data'), { recursive: true });
    await this.up();
  }

  /** Forgets the history up to now, so that watches from before cannot be resumed. */
  async compact(): Promise<void> {
    const post = async (path: string, body: object) =>
      (await fetch(`${this.url}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) })).json();
    const { header } = (await post('kv/range', { key: 'AA==' })) as { header: { revision: string } };
    await post('kv/compaction', { revision: header.revision, physical: true });
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
