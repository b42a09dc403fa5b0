/**
 * PrefillQueue objects that live in this isolate, for who needs a number at once: a Router object that decides by the
 * length of the queue (`max_prefill_queue_size`), `/metrics`. Reading only: workerd lets the promises of an object's RPC
 * be settled in its own context only. No entry: nobody has used the queue since this process started.
 */

export interface NearbyPrefillQueue {
  /** Jobs of a model that no worker has. */
  waiting(model: string): number;
  /** Bytes of the jobs of a model that have no end yet: 4 for each prompt token, and a little more. */
  bytes(model: string): number;
  metrics(): string;
}

/** By namespace, which configuration bounds. */
const queues = new Map<string, NearbyPrefillQueue>();

export function announcePrefillQueue(namespace: string, queue: NearbyPrefillQueue): void {
  queues.set(namespace, queue);
}

export const nearbyPrefillQueue = (namespace: string): NearbyPrefillQueue | undefined =>
  queues.get(namespace);
