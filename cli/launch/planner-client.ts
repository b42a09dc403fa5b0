/** The planner's HTTP API, for commands. */

import type { ReplayPage } from '../../durable/planner/replay.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Fetch } from '../../gpu-sidecar/tls/tls-fetch.ts';

export interface ShownPlanner {
  mode: string;
  advisory: boolean;
  connector: string;
  fleet: Record<string, { ready: number; starting: number; draining: number }> | null;
  wants: Record<string, number> | null;
  because: string[];
  order: { id: number; outcome: string; why: string } | null;
  problem: string | null;
}

export interface ShownDecision {
  id: number;
  atMs: number;
  counts: Record<string, number>;
  outcome: string;
  because: string[];
}

export interface PlannerClient {
  status(): Promise<ShownPlanner>;
  /** The newest ones. */
  decisions(limit: number): Promise<ShownDecision[]>;
  /** The log from the decision after this one, with all that is needed to decide again. */
  log(after: number): Promise<ReplayPage>;
}

export function plannerClient(
  url: string,
  options: { apiKey: string; namespace: string; fetch: Fetch },
): PlannerClient {
  const { apiKey, namespace, fetch } = options;
  const headers: Record<string, string> = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
  const get = async (path: string): Promise<unknown> => {
    const address = `${url}/planner/v1/${encodeURIComponent(namespace)}${path}`;
    const signal = AbortSignal.timeout(10_000);
    const response = await fetch(address, { headers, signal }).catch((cause: Error) => {
      throw new StatorError('worker_unavailable', `${url} does not answer: ${cause.message}`);
    });
    const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
    if (response.ok) return body;
    throw new StatorError('internal', body?.error?.message ?? `${url} answered ${response.status}`);
  };
  return {
    status: () => get('') as Promise<ShownPlanner>,
    async decisions(limit) {
      const { decisions } = (await get(`/decisions?limit=${limit}`)) as { decisions: ShownDecision[] };
      return decisions;
    },
    log: (after) =>
      get(`/decisions?replay=true&after=${after}&limit=${LIMITS.plannerPage}`) as Promise<ReplayPage>,
  };
}
