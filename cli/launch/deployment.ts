/**
 * A whole deployment on this machine: one workerd and its sidecars, supervised. Used by `stator up`, by the end-to-end
 * tests and by the benchmarks, so that all three run what users run.
 */

import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type Settings, settingsToEnv } from '../../durable/runtime/config.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { BUILT_IN_MODEL, PROJECT_ROOT, STATE_DIR, workerdBinary } from '../paths.ts';
import { type Bundle, buildBundle } from './bundle.ts';
import { platformClient, waitFor } from './platform-client.ts';
import { Supervised } from './supervised.ts';
import { workerdConfig } from './workerd-config.ts';

/** Exit code of a sidecar whose settings or model cannot work: a restart would only repeat it. */
export const SIDECAR_CONFIG_EXIT = 1;
const READY_TIMEOUT_MS = 120_000;
const LISTEN_TIMEOUT_MS = 20_000;

/** What a sidecar says on stdout, one JSON line each. */
export interface SidecarLine {
  event: string;
  phase?: string;
  http?: string;
  grpc?: string;
  instance?: string;
  code?: string;
  message?: string;
}

export interface DeploymentHooks {
  onSidecarLine?(index: number, line: SidecarLine): void;
  onExit?(name: string, info: { code: number | null; restartInMs: number | null }): void;
}

export class Deployment {
  readonly url: string;
  readonly settings: Settings;
  readonly directory: string;
  readonly workerd: Supervised;
  readonly sidecars: Supervised[] = [];
  /** Last line of each sidecar's phase, by index: addresses and instance ids. */
  readonly sidecarLines: (SidecarLine | null)[] = [];
  readonly #hooks: DeploymentHooks;
  #startError: (error: Error) => void = () => {};
  readonly #failed: Promise<never>;

  /** `settings.port` must be a free port; `settings.fleetToken` is made when empty. */
  constructor(settings: Settings, bundle: Bundle, hooks: DeploymentHooks = {}) {
    this.settings = { ...settings, fleetToken: settings.fleetToken || randomBytes(24).toString('base64url') };
    this.#hooks = hooks;
    const shown = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
    this.url = `http://${shown === '0.0.0.0' ? '127.0.0.1' : shown}:${settings.port}`;
    this.directory = join(STATE_DIR, 'run', String(settings.port));
    this.#failed = new Promise((_, reject) => {
      this.#startError = reject;
    });
    this.#failed.catch(() => {});
    this.workerd = this.#superviseWorkerd(bundle);
  }

  #superviseWorkerd(bundle: Bundle): Supervised {
    const storage = join(this.directory, 'objects');
    mkdirSync(storage, { recursive: true });
    const config = join(this.directory, 'workerd.capnp');
    const text = workerdConfig({
      bundle: relative(dirname(config), bundle.directory),
      bundleFiles: bundle.directory,
      storage,
      listen: this.url.slice('http://'.length).replace('127.0.0.1', this.settings.host),
      env: settingsToEnv(this.settings),
    });
    writeFileSync(config, text, { mode: 0o600 });
    chmodSync(config, 0o600);
    return new Supervised({
      name: 'workerd',
      command: workerdBinary(),
      args: ['serve', config],
      env: {},
      logFile: join(this.directory, 'workerd.log'),
      onExit: (info) => this.#hooks.onExit?.('workerd', info),
    });
  }

  /** Starts workerd, then the sidecars, and resolves with the model names once one is ready. */
  async start(): Promise<string[]> {
    await this.startPlatform();
    for (let index = 0; index < this.settings.workers; index++) this.addSidecar();
    return this.ready();
  }

  async startPlatform(): Promise<void> {
    this.workerd.start();
    const live = async () => {
      const response = await fetch(`${this.url}/live`).catch(() => null);
      return response?.ok ? true : null;
    };
    await waitFor(live, {
      timeoutMs: LISTEN_TIMEOUT_MS,
      everyMs: 20,
      timeout: () =>
        new StatorError('internal', `workerd does not answer on ${this.url}; see ${this.directory}/workerd.log`),
    });
  }

  /** Resolves when some model is ready; rejects when a sidecar cannot start at all. */
  ready(): Promise<string[]> {
    return waitFor(() => platformClient(this.url, this.settings.apiKey).readyModels(), {
      timeoutMs: READY_TIMEOUT_MS,
      everyMs: 50,
      failed: this.#failed,
      timeout: () =>
        new StatorError('deadline_exceeded', `no model was ready in time; see the logs in ${this.directory}`),
    });
  }

  addSidecar(overrides: Partial<Settings> = {}, extraEnv: Record<string, string> = {}): Supervised {
    const index = this.sidecars.length;
    const sidecar = new Supervised({
      name: `sidecar-${index}`,
      command: process.execPath,
      args: [join(PROJECT_ROOT, 'gpu-sidecar', 'main.ts')],
      env: this.#sidecarEnv({ ...this.settings, ...overrides }, extraEnv),
      logFile: join(this.directory, `sidecar-${index}.log`),
      permanentExitCodes: [SIDECAR_CONFIG_EXIT],
      onLine: (line) => this.#sidecarLine(index, line),
      onExit: (info) => this.#hooks.onExit?.(`sidecar-${index}`, info),
    });
    this.sidecars.push(sidecar);
    this.sidecarLines.push(null);
    sidecar.start();
    return sidecar;
  }

  #sidecarEnv(settings: Settings, extra: Record<string, string>): Record<string, string> {
    const model = settings.model || (settings.engine === 'llama' ? BUILT_IN_MODEL : '');
    return {
      ...settingsToEnv({ ...settings, model }),
      STATOR_PLATFORM_URL: this.url,
      STATOR_PARENT_STDIN: '1',
      NODE_NO_WARNINGS: '1',
      // Decodes run on libuv's pool beside file reads and DNS.
      UV_THREADPOOL_SIZE: '8',
      ...extra,
    };
  }

  #sidecarLine(index: number, text: string): void {
    let line: SidecarLine;
    try {
      line = JSON.parse(text) as SidecarLine;
    } catch {
      return;
    }
    if (line.event === 'phase') this.sidecarLines[index] = line;
    if (line.event === 'error') {
      const code = 'invalid_request';
      this.#startError(new StatorError(code, line.message ?? 'a worker could not start'));
    }
    this.#hooks.onSidecarLine?.(index, line);
  }

  /** Drains the sidecars, then ends workerd. Nothing of it is left behind. */
  async stop(graceMs: number = LIMITS.drainMs): Promise<void> {
    await Promise.all(this.sidecars.map((sidecar) => sidecar.stop(graceMs)));
    await this.workerd.stop(2_000);
  }
}

/** The usual way in: bundle (cached), then a deployment on these settings. */
export async function createDeployment(settings: Settings, hooks: DeploymentHooks = {}): Promise<Deployment> {
  return new Deployment(settings, await buildBundle(), hooks);
}
