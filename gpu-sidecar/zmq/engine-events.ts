/**
 * An engine's own KV events as the fleet has them: its hashes stay names of blocks, and each block's tokens are hashed anew
 * as everybody here hashes them (semantics §2.1), with the seed of its adapter and its cache salt.
 */

import { seed } from '#wasm/tokens';
import { wasmBlockHasher } from '../engines/wasm-hasher.ts';
import type { StoredPath } from '../fleet/local-index.ts';
import { StorageTier } from '../proto/gen/stator/v1/fleet_pb.js';
import type { EngineEvent } from './engine-batch.ts';

/** What takes them: a worker's events. */
export interface TieredSink {
  stored(path: StoredPath, tier: StorageTier): void;
  removed(blockHashes: Uint8Array, tier: StorageTier): void;
  cleared(): void;
}

const TIERS: Readonly<Record<string, StorageTier>> = {
  '': StorageTier.DEVICE,
  GPU: StorageTier.DEVICE,
  CPU: StorageTier.HOST_PINNED,
  CPU_PINNED: StorageTier.HOST_PINNED,
  CPU_TIER1: StorageTier.HOST_PINNED,
  CPU_TIER2: StorageTier.DISK,
  DISK: StorageTier.DISK,
  STORAGE: StorageTier.DISK,
  EXTERNAL: StorageTier.EXTERNAL,
};

/** Tells the sink. Returns what is wrong with the event when nothing was told. */
export function tellEngineEvent(
  event: EngineEvent,
  blockSizeTokens: number,
  sink: TieredSink,
): string | null {
  if (event.kind === 'cleared') {
    sink.cleared();
    return null;
  }
  const tier = TIERS[event.medium];
  if (tier === undefined) return `the medium ${event.medium} is unknown`;
  const { blockHashes } = event;
  if (event.kind === 'removed') {
    sink.removed(blockHashes, tier);
    return null;
  }
  const { cacheSalt, loraName, parentHash, tokenIds } = event;
  if (event.blockSizeTokens !== blockSizeTokens) {
    return `blocks of ${event.blockSizeTokens} tokens; the model card says ${blockSizeTokens}`;
  }
  if (tokenIds.length * 8 !== blockHashes.length * blockSizeTokens) return 'tokens that are not whole blocks';
  const named = {
    ...(loraName === '' ? {} : { lora: loraName }),
    ...(cacheSalt === '' ? {} : { namespace: cacheSalt }),
  };
  const { local } = wasmBlockHasher.hash(tokenIds, { blockSizeTokens, seed: seed(named) });
  const tokensHashes = new Uint8Array(local.buffer, local.byteOffset, local.byteLength);
  sink.stored({ parentHash: parentHash.length === 0 ? null : parentHash, blockHashes, tokensHashes }, tier);
  return null;
}
