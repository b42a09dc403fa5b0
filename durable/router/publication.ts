/** What a namespace tells the Directory: one entry per model, with the instances that can be reached. */

import type { ModelEntry } from '../directory/rpc.ts';
import { takesRequests, type Workers } from './workers.ts';

export function modelEntries(namespace: string, workers: Workers): ModelEntry[] {
  const entries: ModelEntry[] = [];
  for (const model of workers.models()) {
    const reachable = [...model.workers].filter((worker) => worker.phase !== 'draining');
    if (reachable.length === 0) continue;
    entries.push({
      ...model.card,
      namespace,
      ...(reachable.some(takesRequests) ? {} : { prefillOnly: true as const }),
      deterministic: reachable.every((worker) => worker.registration.deterministic),
      addresses: reachable.map((worker) => worker.registration.address),
      instances: reachable.map((worker) => worker.instanceId),
    });
  }
  return entries;
}
