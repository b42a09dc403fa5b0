/** KV changes and dumps of a worker, checked: what a stranger could get wrong in them is refused before any is applied. */

import type { KvDump } from '../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { StatorError } from '../runtime/errors.ts';
import { HASH_BYTES, TIER, type Tier } from './blocks.ts';
import type { DumpChunk, KvChange } from './kv-events.ts';

/** Throws `invalid_frame`. Hashes are 64 bits: signed or unsigned is one pattern. */
export function checkChange(change: KvChange): void {
  if (change.kind === 'cleared') return;
  const { tier, blockHashes } = change;
  if (tier > TIER.external) throw invalid(`storage tier ${tier}`);
  if (blockHashes.length % HASH_BYTES !== 0) {
    throw invalid(`block_hashes of ${blockHashes.length} bytes, not a multiple of ${HASH_BYTES}`);
  }
  if (change.kind === 'removed') return;
  const { parentHash, tokensHashes } = change;
  if (parentHash.length !== 0 && parentHash.length !== HASH_BYTES) {
    throw invalid(`parent_hash of ${parentHash.length} bytes`);
  }
  if (tokensHashes.length !== blockHashes.length) {
    throw invalid('block_hashes and tokens_hashes of different length');
  }
}

/** Throws `invalid_frame`. */
export function dumpChunk(dump: KvDump): DumpChunk {
  const tier = dump.storageTier as number as Tier;
  for (const stored of dump.stored) checkChange({ kind: 'stored', tier, ...stored });
  const lastEventId = dump.lastEventId === undefined ? null : safeId(dump.lastEventId);
  return { tier, first: dump.first, last: dump.last, lastEventId, stored: dump.stored };
}

function safeId(id: bigint): number {
  if (id > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('an event id over 2^53');
  return Number(id);
}

const invalid = (what: string) => new StatorError('invalid_frame', what);
