/**
 * The planner's orders, fetched and answered over HTTP (`/planner/v1/{namespace}/orders`). What comes is checked: the platform
 * may be of another version, or another program on the same port.
 */

import * as z from 'zod';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { Fetch } from '../../gpu-sidecar/tls/tls-fetch.ts';
import type { PlannerOrder, PlannerOrders } from './fleet-executor.ts';

/** A poll, and what the answer may take beside it. */
const WAIT_MS = 10_000;
const ANSWER_MS = 10_000;

const count = z.number().int().min(0);
const orderSchema = z.object({
  id: count,
  counts: z.object({ worker: count, prefill: count, decode: count }).partial(),
  outcome: z.enum(['pending', 'done', 'failed']),
});

export interface OrdersOptions {
  /** Of the platform. */
  url: string;
  namespace: string;
  apiKey: string;
  /** The same after a restart, so that it goes on at once. */
  executor: string;
  fetch: Fetch;
}

/** Every call throws StatorError when the platform does not answer, or refuses. */
export function plannerOrders({ url, namespace, apiKey, executor, fetch }: OrdersOptions): PlannerOrders {
  const base = `${url}/planner/v1/${namespace}/orders`;
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (apiKey !== '') headers['authorization'] = `Bearer ${apiKey}`;
  const call = async (address: string, init: RequestInit, stop: AbortSignal): Promise<unknown> => {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(WAIT_MS + ANSWER_MS)]);
    const response = await fetch(address, { headers, signal, ...init }).catch((cause: Error) => {
      throw new StatorError('worker_unavailable', `${url} does not answer: ${cause.message}`, { cause });
    });
    if (response.ok) return response.json();
    throw new StatorError('internal', `${url} answered ${response.status}: ${await response.text()}`);
  };
  return {
    async next(after, stop) {
      const query = new URLSearchParams({ after: String(after), wait_ms: String(WAIT_MS), executor });
      const answer = await call(`${base}?${query}`, {}, stop);
      const { order } = z.object({ order: orderSchema.nullable() }).parse(answer);
      return order as PlannerOrder | null;
    },
    async complete(id, failed, stop) {
      const outcome = failed === null ? { outcome: 'done' } : { outcome: 'failed', why: failed };
      const body = JSON.stringify({ ...outcome, executor });
      await call(`${base}/${id}`, { method: 'POST', body }, stop);
    },
  };
}
