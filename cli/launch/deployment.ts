/**
 * A whole deployment on this machine: one workerd and its sidecars, supervised. Used by `stator up`, by the end-to-end
 * tests and by the benchmarks, so that all three run what users run.
 */

import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { maySleep } from '../../durable/planner/may-sleep.ts';
import { type Settings, settingsToEnv } from '../../durable/runtime/config.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { executingConnector } from '../../durable/runtime/executing-connector.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { natsCredentials } from '../../gpu-sidecar/nats/credentials.ts';
import type { Fetch } from '../../gpu-sidecar/tls/tls-fetch.ts';
import { PROJECT_ROOT, packageBin, STATE_DIR, workerdBinary } from '../paths.ts';
import { announcePlatform } from './announcement.ts';
import { type Bundle, buildBundle } from './bundle.ts';
import { type ExecutorEvent, FleetExecutor } from './fleet-executor.ts';
import { kubernetesServices } from './kubernetes.ts';
import { plannerOrders } from './planner-orders.ts';
import { platformClient, waitFor } from './platform-client.ts';
import { Supervised } from './supervised.ts';
import {
  type Control,
  controlFetch,
  controlOf,
  type DeploymentTls,
  deploymentTls,
  withFleetListen,
} from './tls.ts';
import { WorkerPlaces, type WorkerType } from './worker-places.ts';
import { workerdConfig } from './workerd-config.ts';

/** Exit code of a sidecar whose settings or model cannot work: a restart would only repeat it. */
const SIDECAR_CONFIG_EXIT = 1;
const READY_TIMEOUT_MS = 120_000;
const LISTEN_TIMEOUT_MS = 20_000;
/** A worker that drains has ended by itself when its own time is over; then its process gets this much. */
const DRAIN_SLACK_MS = 5_000;

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

export interface DeploymentOptions {
  /** The platform process has started, or started again. */
  onPlatform?(pid: number): void;
  onSidecarLine?(index: number, line: SidecarLine): void;
  onExit?(name: string, info: { code: number | null; restartInMs: number | null }): void;
  /** What became of the planner's orders. */
  onOrder?(event: ExecutorEvent): void;
}

/** What the platform process needs to know; returns how to run it. */
export type PlatformLauncher = (input: {
  settings: Settings;
  directory: string;
  storage: string;
  listen: string;
  tls: DeploymentTls;
}) => { command: string; args: readonly string[]; env: Readonly<Record<string, string>> };

/** Production: workerd on a bundle, `extraArgs` for an inspector and the like. */
export function workerdLauncher(bundle: Bundle, extraArgs: readonly string[] = []): PlatformLauncher {
  return ({ settings, directory, storage, listen, tls }) => {
    const config = join(directory, 'workerd.capnp');
    const text = workerdConfig({
      bundle: relative(directory, bundle.directory),
      bundleFiles: bundle.directory,
      storage,
      listen,
      fleetListen: settings.fleetListen,
      tls,
      kubernetes: kubernetesServices(settings, process.env),
      alsoListen: settings.alsoListen.split(',').filter((address) => address !== ''),
      env: settingsToEnv(settings),
    });
    // It holds the keys.
    writeFileSync(config, text, { mode: 0o600 });
    chmodSync(config, 0o600);
    return { command: workerdBinary(), args: ['serve', config, ...extraArgs], env: {} };
  };
}

/** Development: `wrangler dev` on the sources, reloading when they change. */
export function wranglerLauncher(): PlatformLauncher {
  return ({ settings, directory, storage }) => {
    const envFile = join(directory, 'dev.vars');
    const lines = Object.entries(settingsToEnv(settings)).map(
      ([name, text]) => `${name}=${JSON.stringify(text)}`,
    );
    writeFileSync(envFile, `${lines.join('\n')}\n`, { mode: 0o600 });
    const args = ['dev', '--port', String(settings.port), '--ip', settings.host, '--env-file', envFile];
    args.push('--persist-to', storage, '--show-interactive-dev-session=false', '--inspector-port', '0');
    return {
      command: process.execPath,
      args: [packageBin('wrangler', 'bin/wrangler.js'), ...args],
      env: { WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG_PATH: directory },
    };
  };
}

interface RoleCount {
  workerType: WorkerType;
  count: number;
}

/** With workers of a role there are no others. */
function rolesOf({ workers, prefillWorkers, decodeWorkers }: Settings): RoleCount[] {
  if (prefillWorkers + decodeWorkers === 0) return [{ workerType: 'aggregated', count: workers }];
  const roles: RoleCount[] = [
    { workerType: 'prefill', count: prefillWorkers },
    { workerType: 'decode', count: decodeWorkers },
  ];
  return roles.filter(({ count }) => count > 0);
}

/** The planner's orders are carried out by the launcher. */
const isExecuted = (settings: Settings): boolean =>
  settings.planner !== 'off' && executingConnector(settings) === 'process';

/** IPv6 addresses stand in brackets. */
const hostPort = (host: string, port: number) => `${host.includes(':') ? `[${host}]` : host}:${port}`;

export class Deployment {
  /** For clients. */
  readonly url: string;
  /** For workers and the launcher. */
  readonly control: Control;
  readonly settings: Settings;
  readonly directory: string;
  readonly platform: Supervised;
  readonly sidecars: Supervised[] = [];
  /** Last line of each sidecar's phase, by index: addresses and instance ids. */
  readonly sidecarLines: (SidecarLine | null)[] = [];
  readonly #options: DeploymentOptions;
  readonly #places = new WorkerPlaces();
  /** Carries out what the planner orders; null: nobody orders anything here. */
  #executor: FleetExecutor | null = null;
  /** Reaches `control`. */
  readonly fetch: Fetch;
  #startError: (error: Error) => void = () => {};
  readonly #failed: Promise<never>;
  /** Takes the platform out of discovery. */
  #hide: () => Promise<void> = async () => {};

  /**
   * `settings.port` must be a free port; `settings.fleetToken` is made when empty; with TLS `settings.fleetListen` is given
   * (`withFleetListen`). Throws StatorError `invalid_request` when a certificate cannot work.
   */
  constructor(settings: Settings, launch: PlatformLauncher, options: DeploymentOptions = {}) {
    this.settings = {
      ...settings,
      fleetToken: settings.fleetToken || randomBytes(24).toString('base64url'),
      natsCreds: natsCredentials(settings.natsCreds),
    };
    this.#options = options;
    const { host, port } = this.settings;
    const tls = deploymentTls(this.settings, Date.now());
    this.url = `${tls.http === null ? 'http' : 'https'}://${hostPort(host === '0.0.0.0' ? '127.0.0.1' : host, port)}`;
    this.control = controlOf(this.settings, this.url);
    this.fetch = controlFetch(this.control);
    this.directory = join(STATE_DIR, 'run', String(settings.port));
    this.#failed = new Promise((_, reject) => {
      this.#startError = reject;
    });
    this.#failed.catch(() => {});
    this.platform = this.#supervisePlatform(launch, tls);
  }

  #supervisePlatform(launch: PlatformLauncher, tls: DeploymentTls): Supervised {
    const { settings, directory } = this;
    const storage = join(directory, 'objects');
    mkdirSync(storage, { recursive: true });
    const listen = hostPort(settings.host, settings.port);
    return new Supervised({
      name: 'platform',
      ...launch({ settings, directory, storage, listen, tls }),
      logFile: join(directory, 'platform.log'),
      onStart: (pid) => this.#options.onPlatform?.(pid),
      onExit: (info) => this.#options.onExit?.('platform', info),
    });
  }

  /** Starts workerd, then the sidecars, and resolves with the model names once one is ready. */
  async start(): Promise<string[]> {
    await this.startPlatform();
    await this.addSidecars();
    const models = await this.ready();
    this.followPlanner();
    return models;
  }

  /**
   * Those that the settings ask for; returns how many of which role. None where the planner may put all to sleep and the
   * platform knows the model already; else one start teaches it.
   */
  async addSidecars(): Promise<RoleCount[]> {
    const { apiKey } = this.settings;
    const sleeps = maySleep(this.settings) && isExecuted(this.settings);
    const known = sleeps ? await platformClient(this.control.url, apiKey, this.fetch).readyModels() : null;
    const roles = known === null ? rolesOf(this.settings) : [];
    for (const { workerType, count } of roles) {
      for (let started = 0; started < count; started++) this.addSidecar({ workerType });
    }
    return roles;
  }

  async startPlatform(): Promise<void> {
    this.platform.start();
    const live = async () => {
      const response = await this.fetch(`${this.control.url}/live`).catch(() => null);
      await response?.body?.cancel();
      return response?.ok ? true : null;
    };
    await waitFor(live, {
      timeoutMs: LISTEN_TIMEOUT_MS,
      everyMs: 20,
      failed: this.#failed,
      timeout: () =>
        new StatorError(
          'internal',
          `the platform does not answer on ${this.url}; see ${this.directory}/platform.log`,
        ),
    });
    this.#hide = await announcePlatform(this.settings, this.control.url);
    await this.#beginPlanner();
  }

  /** An object begins when somebody asks for it. Whoever executes orders does; Kubernetes asks nobody. */
  async #beginPlanner(): Promise<void> {
    const { apiKey, namespace, planner } = this.settings;
    if (planner === 'off' || executingConnector(this.settings) !== 'kubernetes') return;
    const headers = apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` };
    const asked = async () => {
      const response = await this.fetch(`${this.control.url}/planner/v1/${namespace}`, { headers }).catch(
        () => null,
      );
      await response?.body?.cancel();
      return response?.ok ? true : null;
    };
    await waitFor(asked, {
      timeoutMs: LISTEN_TIMEOUT_MS,
      everyMs: 100,
      failed: this.#failed,
      timeout: () => new StatorError('internal', `the planner does not answer; see ${this.directory}`),
    });
  }

  /** Resolves when some model is ready; rejects when a sidecar cannot start at all. */
  ready(): Promise<string[]> {
    const client = platformClient(this.control.url, this.settings.apiKey, this.fetch);
    // The platform may know a worker before that worker's own line has come, which says its addresses.
    const said = () =>
      this.sidecars.length === 0 || this.sidecarLines.some((line) => line?.phase === 'serving');
    const ready = async () => {
      const models = await client.readyModels();
      return said() ? models : null;
    };
    return waitFor(ready, {
      timeoutMs: READY_TIMEOUT_MS,
      everyMs: 50,
      failed: this.#failed,
      timeout: () =>
        new StatorError('deadline_exceeded', `no model was ready in time; see the logs in ${this.directory}`),
    });
  }

  /** From now on the planner says how many workers there are, where its orders are carried out here. */
  followPlanner(): void {
    if (!isExecuted(this.settings)) return;
    const { apiKey, namespace, port } = this.settings;
    const executor = `stator-up-${port}`;
    this.#executor = new FleetExecutor({
      orders: plannerOrders({ url: this.control.url, namespace, apiKey, executor, fetch: this.fetch }),
      machine: this,
      after: (delayMs, task) => {
        const timer = setTimeout(task, delayMs);
        return () => clearTimeout(timer);
      },
      report: (event) => this.#options.onOrder?.(event),
    });
    void this.#executor.run();
  }

  addSidecar(overrides: Partial<Settings> = {}, extraEnv: Record<string, string> = {}): Supervised {
    const settings = { ...this.settings, ...overrides };
    return this.#startSidecar(this.#places.take(settings.workerType), settings, extraEnv);
  }

  /** Starts one more worker of a role; returns its place at once. `started` tells how that ends. */
  addWorker(workerType: WorkerType): number {
    const place = this.#places.take(workerType);
    this.#startSidecar(place, { ...this.settings, workerType }, {});
    return place;
  }

  /** Resolves when the worker serves. Rejects with a StatorError that says why it never will. */
  started(place: number): Promise<void> {
    return this.#places.started(place);
  }

  /** Places of the workers of a role that serve or start, the newest last. */
  workersOf(workerType: WorkerType): number[] {
    return this.#places.staying(workerType);
  }

  /** The worker takes no new requests, ends those it has and exits; resolves when it is gone. Supervision leaves it alone. */
  async removeWorker(place: number, graceMs: number = LIMITS.drainMs + DRAIN_SLACK_MS): Promise<void> {
    if (!this.#places.leaves(place)) return;
    await this.sidecars[place]?.stop(graceMs);
    this.#places.left(place);
  }

  #startSidecar(place: number, settings: Settings, extraEnv: Record<string, string>): Supervised {
    const sidecar = new Supervised({
      name: `sidecar-${place}`,
      command: process.execPath,
      args: [join(PROJECT_ROOT, 'gpu-sidecar', 'main.ts')],
      env: this.#sidecarEnv(this.#ownDisk(settings, place), {
        ...this.#grpcPort(place),
        STATOR_PROCESS_NAME: `sidecar-${place}`,
        ...extraEnv,
      }),
      logFile: join(this.directory, `sidecar-${place}.log`),
      permanentExitCodes: [SIDECAR_CONFIG_EXIT],
      onLine: (line) => this.#sidecarLine(place, line),
      onExit: (info) => this.#sidecarExit(place, info),
    });
    this.sidecars[place] = sidecar;
    this.sidecarLines[place] = null;
    sidecar.start();
    return sidecar;
  }

  /** Workers beside each other have a folder each for KV blocks, the same after a restart. */
  #ownDisk(settings: Settings, index: number): Settings {
    const beside = isExecuted(this.settings)
      ? LIMITS.machineWorkers
      : rolesOf(this.settings).reduce((sum, { count }) => sum + count, 0);
    if (settings.kvbmDiskFolder === '' || beside < 2) return settings;
    return { ...settings, kvbmDiskFolder: join(settings.kvbmDiskFolder, String(index)) };
  }

  /** Where the settings leave it open, and past the last port, it is any free one. */
  #grpcPort(index: number): Record<string, string> {
    const port = this.settings.grpcPort + index;
    return this.settings.grpcPort > 0 && port < 65_536 ? { STATOR_SIDECAR_GRPC_PORT: String(port) } : {};
  }

  #sidecarEnv(settings: Settings, extra: Record<string, string>): Record<string, string> {
    return {
      // The profile is the platform's, and may be longer than a variable.
      ...settingsToEnv({ ...settings, plannerProfile: '' }),
      STATOR_PLATFORM_URL: this.control.url,
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
    if (line.phase === 'serving') {
      this.sidecars[index]?.healthy();
      this.#places.serves(index);
    }
    if (line.event === 'error') {
      const message = line.message ?? 'a worker could not start';
      this.#startError(new StatorError('invalid_request', message));
      this.#places.fails(index, message);
    }
    this.#options.onSidecarLine?.(index, line);
  }

  #sidecarExit(index: number, info: { code: number | null; restartInMs: number | null }): void {
    this.#options.onExit?.(`sidecar-${index}`, info);
    if (info.restartInMs !== null) return;
    // After an error line this comes second and changes nothing.
    const log = join(this.directory, `sidecar-${index}.log`);
    const message = `sidecar-${index} ended (${info.code ?? 'killed'}); see ${log}`;
    this.#startError(new StatorError('internal', message));
    this.#places.fails(index, message);
    this.#places.left(index);
  }

  /** Drains the sidecars, then ends workerd. Nothing of it is left behind. */
  async stop(graceMs: number = LIMITS.drainMs): Promise<void> {
    this.#startError(new StatorError('cancelled', 'stopped before a model was ready'));
    this.#executor?.stop();
    this.platform.retire();
    await this.#hide();
    await Promise.all(this.sidecars.map((sidecar) => sidecar.stop(graceMs)));
    await this.platform.stop(2_000);
  }
}

/** The usual way in: bundle (cached), then a deployment on these settings. */
export async function createDeployment(
  settings: Settings,
  options: DeploymentOptions = {},
): Promise<Deployment> {
  const complete = await withFleetListen(settings);
  return new Deployment(complete, workerdLauncher(await buildBundle()), options);
}
