/** What a namespace tells the Directory: one entry per model, with the instances that can be reached, and one per endpoint of each. */

import type { DiscoveryEntry, ModelEntry } from '../directory/rpc.ts';
import { instanceKey, instanceRecord } from '../runtime/instance.ts';
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

/** A worker whose socket broke is left out until it is back: who calls it directly has nobody to try again for him. */
export function instanceEntries(namespace: string, workers: Workers): DiscoveryEntry[] {
  const entries: DiscoveryEntry[] = [];
  for (const { instanceId, phase, registration } of workers) {
    if (phase !== 'serving') continue;
    const { address, component, endpoints, grpcAddress } = registration;
    for (const { name: endpoint, httpPath, grpcPath } of endpoints) {
      const http = httpPath === '' ? null : address + httpPath;
      const grpc = grpcPath === '' || grpcAddress === '' ? null : grpcAddress + grpcPath;
      const instance = { namespace, component, endpoint, instanceId, http, grpc, idempotent: false };
      entries.push({ key: instanceKey(instance), value: instanceRecord(instance) });
    }
  }
  return entries;
}
