/**
 * The socket of discovery, subprotocol `stator.discovery.v1`: JSON text frames. A process with the fleet token puts what lives
 * as long as it beats; anybody else may watch. Each request has an id that its answers repeat.
 *
 *     → {"put":{"key":…,"value":…},"id":1}   ← {"done":1}   or {"failed":1,"code":…,"message":…}
 *     → {"delete":"key","id":2}              ← {"done":2}
 *     → {"watch":"prefix","id":3}            ← {"changes":[{"kind":"added","key":…,"value":…}],"id":3} …, {"synced":3}, then more changes
 *     → {"unwatch":3}
 *     → {"beat":true}                        ← {"beat":true}, also unasked
 */

import * as z from 'zod';

export const DISCOVERY_PROTOCOL = 'stator.discovery.v1';

const id = z.number().int().min(0);
const change = z.union([
  z.object({ kind: z.literal('added'), key: z.string(), value: z.string() }),
  z.object({ kind: z.literal('removed'), key: z.string() }),
]);

export const discoveryRequest = z.union([
  z.object({ put: z.object({ key: z.string(), value: z.string() }), id }),
  z.object({ delete: z.string(), id }),
  z.object({ watch: z.string(), id }),
  z.object({ unwatch: id }),
  z.object({ beat: z.literal(true) }),
]);

export const discoveryAnswer = z.union([
  /** The first. `boot`: another one after each start of the platform, which knows nothing then. */
  z.object({ welcome: z.object({ boot: z.number(), leaseMs: z.number(), heartbeatMs: z.number() }) }),
  z.object({ done: id }),
  z.object({ failed: id, code: z.string(), message: z.string() }),
  z.object({ changes: z.array(change), id }),
  z.object({ synced: id }),
  z.object({ beat: z.literal(true) }),
]);

export type DiscoveryRequest = z.output<typeof discoveryRequest>;
export type DiscoveryAnswer = z.output<typeof discoveryAnswer>;
export type TableChange = z.output<typeof change>;
