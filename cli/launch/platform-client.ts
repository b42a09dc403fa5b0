/** The launcher as a client of the platform it started: readiness, status, models. */

import type { PrefillQueueStatus } from '../../durable/prefill-queue/rpc.ts';
import type { RouterStatus } from '../../durable/router/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { Fetch } from '../../gpu-sidecar/tls/tls-fetch.ts';

/** The part of `GET /get_pool_info` that is shown. */
export interface PoolInfo {
  mode: string;
  model_name: string | null;
  pools: {
    pool: string;
    roles: string[];
    priority: number | null;
    live_workers: number | null;
    in_flight: number | null;
    waiting: number | null;
    selected: number;
    retried: number;
    overflow: number;
    failures: Record<string, number>;
  }[];
}

export interface PlatformClient {
  /** Model names when the platform answers and at least one is ready, else null. */
  readyModels(): Promise<string[] | null>;
  status(): Promise<RouterStatus>;
  prefillQueue(): Promise<PrefillQueueStatus>;
  /** The pools of the global router; null: there is none. */
  poolInfo(): Promise<PoolInfo | null>;
  /** How many workers were told. */
  clearKvBlocks(): Promise<number>;
}

export function platformClient(url: string, apiKey: string, fetcher: Fetch = fetch): PlatformClient {
  const headers: Record<string, string> = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
  const call = (path: string, method: string) =>
    fetcher(url + path, { method, headers, signal: AbortSignal.timeout(5_000) });
  const get = (path: string) => call(path, 'GET');
  const json = async (path: string, method: string): Promise<unknown> => {
    const response = await call(path, method).catch((error: Error) => {
      throw new StatorError('worker_unavailable', `${url} does not answer: ${error.message}`);
    });
    if (!response.ok) throw new StatorError('internal', `${url} answered ${response.status}`);
    return response.json();
  };
  return {
    async readyModels() {
      try {
        const response = await get('/v1/models');
        if (!response.ok) return null;
        const body = (await response.json()) as { data: { id: string }[] };
        return body.data.length > 0 ? body.data.map(({ id }) => id) : null;
      } catch {
        return null;
      }
    },
    status: () => json('/stator/v1/status', 'GET') as Promise<RouterStatus>,
    prefillQueue: () => json('/stator/v1/prefill_queue', 'GET') as Promise<PrefillQueueStatus>,
    async poolInfo() {
      const response = await get('/get_pool_info').catch(() => null);
      return response?.ok ? ((await response.json()) as PoolInfo) : null;
    },
    async clearKvBlocks() {
      const { workers } = (await json('/stator/v1/clear_kv_blocks', 'POST')) as { workers: number };
      return workers;
    },
  };
}

/** Calls `probe` until it gives a value; rejects with `timeout`'s error after `timeoutMs`, or when `failed` rejects. */
export async function waitFor<T>(
  probe: () => Promise<T | null>,
  options: { timeoutMs: number; everyMs: number; failed?: Promise<never>; timeout: () => Error },
): Promise<T> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    const value = await (options.failed ? Promise.race([probe(), options.failed]) : probe());
    if (value !== null) return value;
    if (performance.now() > deadline) throw options.timeout();
    await new Promise((resolve) => setTimeout(resolve, options.everyMs));
  }
}
