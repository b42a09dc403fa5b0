/** Times of single decisions, taken where a clock runs: the gaps between the bytes that `router-worker.ts` sends. */

import { request } from 'node:http';

export interface Percentiles {
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
}

/** Milliseconds of each decision, in order. Bytes that arrive together share their gap. */
export function decide(
  url: string,
  { count, way, workers }: { count: number; way: 'rpc' | 'direct' | 'none'; workers: number },
): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const gaps: number[] = [];
    const call = request(`${url}/decide?count=${count}&way=${way}&workers=${workers}`, (response) => {
      let lastMs = 0;
      response.on('data', (bytes: Buffer) => {
        const nowMs = performance.now();
        if (lastMs > 0) for (const _ of bytes) gaps.push((nowMs - lastMs) / bytes.length);
        lastMs = nowMs;
      });
      response.on('end', () => resolve(gaps));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end();
  });
}

export function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99) };
}
