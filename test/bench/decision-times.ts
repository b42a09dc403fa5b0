/** Times of single decisions, taken where a clock runs: HTTP requests to `router-worker.ts`, each on a waiting connection. */

import { Agent, get } from 'node:http';

export interface Percentiles {
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
}

export interface Decisions {
  count: number;
  way: 'rpc' | 'direct' | 'none';
  workers: number;
  /** Requests at once. */
  concurrency?: number;
}

/** Milliseconds of each decision; with one at a time, in order. */
export async function decide(
  url: string,
  { count, way, workers, concurrency = 1 }: Decisions,
): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const times: number[] = [];
  let next = 0;
  const loop = async () => {
    while (next < count) {
      const path = `${url}/decide?way=${way}&workers=${workers}&i=${next++}`;
      const startedMs = performance.now();
      await answered(path, agent);
      times.push(performance.now() - startedMs);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  agent.destroy();
  return times;
}

function answered(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${response.statusCode} for ${url}`));
      response.on('end', resolve).resume();
    });
    request.on('error', reject);
  });
}

export function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99) };
}
