/**
 * How a prompt comes to a prefill worker: one interface, and a file for each way. `push` calls the worker that the router chose;
 * a queue that workers take from tells who it became when somebody has it.
 */

import type { PrefillPeer } from '../proto/gen/stator/v1/worker_pb.js';

export interface PrefillJob {
  requestId: string;
  /** The router's choice. */
  peer: PrefillPeer;
  routerBoot: number;
  /** Whole blocks of the prompt. */
  tokenIds: Uint32Array;
  /** Packed LE u64, or empty. */
  blockHashes: Uint8Array;
  hashSeed: bigint;
  priority: number;
}

/** Who computes it, and where its blocks are asked for. */
export interface PrefillHost {
  instanceId: string;
  /** `host:port` of native gRPC. */
  address: string;
}

export interface PrefillDispatcher {
  readonly name: string;
  /**
   * Resolves when all blocks are computed; `accepted` is called once before, from where on blocks may be asked for. Rejects
   * with StatorError, `cancelled` when `signal` aborts: then the other end stops computing.
   */
  dispatch(
    job: PrefillJob,
    hooks: { signal: AbortSignal; accepted(host: PrefillHost): void },
  ): Promise<{ cachedTokens: number }>;
  close(): void;
}
