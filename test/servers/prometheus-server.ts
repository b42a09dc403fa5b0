/**
 * A real Prometheus that scrapes one platform's `/metrics`: the one that is installed, else Debian's package, installed when we
 * may. On a free port, which is known before it starts, because the platform wants to know it; with a folder of its own that is
 * thrown away.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../cli/launch/ports.ts';
import { eventually } from '../harness/deployment.ts';

const run = promisify(execFile);
const INSTALL_TIMEOUT_MS = 420_000;
/** Often enough for a planner that looks every second. */
const SCRAPE_INTERVAL = '500ms';

function installed(): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'prometheus')).find(existsSync) ?? null;
}

/** Its path. Throws saying what to install when there is none and it cannot be installed from here. */
async function prometheusBinary(): Promise<string> {
  const found = installed();
  if (found) return found;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error('prometheus is missing, and only root on Debian can install it here: put one on PATH');
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { timeout: INSTALL_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024, env };
  await run('apt-get', ['update', '-qq'], options);
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'prometheus'], options);
  const fresh = installed();
  if (!fresh) throw new Error('apt-get installed prometheus, but there is none on PATH');
  return fresh;
}

export class PrometheusServer {
  readonly url: string;
  readonly #binary: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'stator-prometheus-'));
  #process: ChildProcess | null = null;

  private constructor(binary: string, port: number) {
    this.#binary = binary;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Has its address and does not run yet. */
  static async create(): Promise<PrometheusServer> {
    return new PrometheusServer(await prometheusBinary(), await freePort('127.0.0.1'));
  }

  /** Scrapes a platform from now on with its API key; `labels` are what it adds to each series of it. */
  scrape(platformUrl: string, apiKey: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    const job = {
      job_name: 'stator',
      metrics_path: '/metrics',
      authorization: { credentials: apiKey },
      static_configs: [{ targets: [new URL(platformUrl).host], labels }],
    };
    const config = {
      global: { scrape_interval: SCRAPE_INTERVAL, scrape_timeout: SCRAPE_INTERVAL },
      scrape_configs: [job],
    };
    // JSON is YAML too.
    writeFileSync(this.#config, JSON.stringify(config));
    return this.up();
  }

  /** As it was before. Resolves when it answers. */
  async up(): Promise<void> {
    const folders = [`--config.file=${this.#config}`, `--storage.tsdb.path=${join(this.#folder, 'data')}`];
    const listen = `--web.listen-address=${new URL(this.url).host}`;
    this.#process = spawn(this.#binary, [...folders, listen, '--log.level=error'], { stdio: 'ignore' });
    await eventually('prometheus being ready', async () => {
      const response = await fetch(`${this.url}/-/ready`).catch(() => null);
      await response?.body?.cancel();
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

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #config(): string {
    return join(this.#folder, 'prometheus.json');
  }
}
