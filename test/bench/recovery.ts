/**
 * How soon routing answers and the index is exact after workerd was killed with a full index, with and without a snapshot.
 * Eight workers in one process, with the sidecar's real event logs and fleet clients, hold the blocks.
 */

import { buildBundle } from '../../cli/launch/bundle.ts';
import { Deployment, workerdLauncher } from '../../cli/launch/deployment.ts';
import { waitFor } from '../../cli/launch/platform-client.ts';
import { freePort } from '../../cli/launch/ports.ts';
import type { RouterStatus } from '../../durable/router/rpc.ts';
import { resolveSettings } from '../../durable/runtime/config.ts';
import { SyntheticWorker } from '../harness/synthetic-worker.ts';
import { holdings, instanceOf, registration } from './router-workload.ts';

const WORKERS = 8;
const TIMEOUT_MS = 60_000;

export interface Recovery {
  blocks: number;
  /** From the kill on, in milliseconds. */
  answersMs: number;
  exactMs: number;
  /** Ranks whose snapshot was used. */
  restored: number;
}

/** A deployment with the Worker of this bench, whose snapshots are due after every event. Not started. */
export async function benchDeployment(): Promise<Deployment> {
  const bundle = await buildBundle({ minify: true, entry: 'test/bench/router-worker.ts' });
  const settings = {
    ...resolveSettings([]),
    port: await freePort(),
    logLevel: 'error' as const,
    snapshotEvents: 1,
  };
  return new Deployment(settings, workerdLauncher(bundle));
}

/** A fleet whose index the router has; joining it takes seconds. */
export class BigFleet {
  readonly workers: SyntheticWorker[] = [];
  readonly #deployment: Deployment;
  #blocks = 0;

  constructor(deployment: Deployment, blocks: number) {
    this.#deployment = deployment;
    for (let i = 0; i < WORKERS; i++) {
      const worker = new SyntheticWorker({
        url: deployment.url,
        token: deployment.settings.fleetToken,
        register: {
          ...registration(i),
        },
      });
      for (const path of holdings(i, Math.round(blocks / WORKERS))) worker.hold(path);
      this.workers.push(worker);
    }
  }

  async join(): Promise<void> {
    for (const worker of this.workers) worker.connect();
    await this.exact();
    this.#blocks = (await statusOf(this.#deployment)).indexBlocks;
  }

  /** How many blocks of prompt `i` a worker has, as the router says. */
  async overlap(i: number, worker: number): Promise<number> {
    const query = `way=rpc&workers=${WORKERS}&i=${i}&pinned=${instanceOf(worker)}`;
    const url = `${this.#deployment.url}/decide?${query}`;
    return Number(await (await fetch(url)).text());
  }

  /** Every worker has `blocks` more; resolves when snapshots of all are on disk. */
  async snapshotAfter(event: Uint8Array): Promise<void> {
    const before = await this.#counted('written');
    for (const worker of this.workers) worker.hold(event);
    await this.#until(async () => (await this.#counted('written')) >= before + WORKERS);
    await this.exact();
    this.#blocks = (await statusOf(this.#deployment)).indexBlocks;
  }

  async kill(): Promise<Recovery> {
    const startedMs = performance.now();
    process.kill(this.#deployment.platform.pid as number, 'SIGKILL');
    const { url } = this.#deployment;
    await this.#until(async () => (await fetch(`${url}/decide?way=rpc&workers=${WORKERS}&i=1`)).ok);
    const answersMs = performance.now() - startedMs;
    await this.exact();
    const exactMs = performance.now() - startedMs;
    const { indexBlocks } = await statusOf(this.#deployment);
    if (indexBlocks !== this.#blocks) throw new Error(`${indexBlocks} blocks, ${this.#blocks} before`);
    return { blocks: indexBlocks, answersMs, exactMs, restored: await this.#counted('restored') };
  }

  /** Resolves when the router has for each worker exactly as many blocks as it holds. */
  exact(): Promise<void> {
    return this.#until(async () => {
      const { workers } = await statusOf(this.#deployment);
      return (
        workers.length === WORKERS &&
        this.workers.every((worker, i) => {
          const known = workers.find(({ instanceId }) => instanceId === instanceOf(i));
          return known?.cachedBlocks === worker.events.blocks;
        })
      );
    });
  }

  async leave(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.leave()));
  }

  async #counted(what: string): Promise<number> {
    const text = await (await fetch(`${this.#deployment.url}/metrics`)).text();
    return Number(new RegExp(`kv_snapshots_total\\{what="${what}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
  }

  async #until(condition: () => Promise<boolean>): Promise<void> {
    await waitFor(async () => ((await condition().catch(() => false)) ? true : null), {
      timeoutMs: TIMEOUT_MS,
      everyMs: 20,
      timeout: () => new Error(`not within ${TIMEOUT_MS} ms`),
    });
  }
}

const statusOf = async ({ url }: Deployment) => (await (await fetch(`${url}/status`)).json()) as RouterStatus;
