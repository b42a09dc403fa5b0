/**
 * What remote prefill needs of others, as interfaces: the transfer brings blocks into host memory (`gpu-sidecar/transfer`), and KV
 * memory says what is there and keeps it there (`gpu-sidecar/kvbm`). Tests script both.
 */

import type { BlockIdentity } from '../kvbm/block.ts';

export interface PullOrder {
  /** `host:port` of the peer's native gRPC. */
  address: string;
  /** Leading blocks of a prompt, in order. */
  blocks: readonly BlockIdentity[];
  signal: AbortSignal;
  onProgress(leadingBlocks: number): void;
}

export interface Pulled {
  /** Leading blocks that are here now. */
  blocks: number;
  bytes: number;
  /** Why it stopped before the last one, in a word; null: it did not. */
  fault: string | null;
}

export interface PeerPuller {
  /** Waits for blocks that the peer has not computed yet. Does not reject. */
  pull(order: PullOrder): Promise<Pulled>;
}

export interface LocalBlocks {
  /** The engine would find it without computing. */
  isHere(hash: bigint): boolean;
  /** Keeps a block in host memory until that is disposed; null: it is not there. */
  hold(hash: bigint): Disposable | null;
}
