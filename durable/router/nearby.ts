/**
 * Router objects that live in this isolate, so that a function beside one decides without an RPC.
 *
 * workerd runs functions and objects of one process in one isolate. The decision is a synchronous turn over memory, so
 * calling it directly is the same turn that the RPC would make, at 60 % of the cost and without two waits in the event
 * loop (docs/decisions/0002). Where no entry is (another process owns the object, or it has not started), the caller
 * takes the RPC. A restarted object replaces its entry when its first worker dials in; until then the
 * old core answers with the workers it knew, which is what callers would find out by trying.
 */

import type { RouterRpc } from './rpc.ts';

export interface NearbyRouter extends Pick<RouterRpc, 'route' | 'release'> {
  /** False: no request ever waits in a queue. */
  readonly queues: boolean;
  /** Somebody waits in the queue. */
  readonly hasWaiting: boolean;
}

/** By namespace. Set by the objects themselves; bounded by the number of namespaces, which configuration bounds. */
const routers = new Map<string, NearbyRouter>();

export function announceRouter(namespace: string, router: NearbyRouter): void {
  routers.set(namespace, router);
}

/**
 * Undefined also while somebody waits in its queue: then a turn may wake them, and workerd lets the promise of an object's
 * RPC be settled in the context of that object only.
 */
export function nearbyRouter(namespace: string): NearbyRouter | undefined {
  const router = routers.get(namespace);
  return router?.hasWaiting ? undefined : router;
}
