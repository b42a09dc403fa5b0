/**
 * One chunk of a snapshot as bytes: what an index says of one rank, up to `LIMITS.snapshotChunkBytes`, with everything that
 * it must agree with. Little-endian: magic u32, format u32, seq u32, payload bytes u32, epoch f64, last event id f64,
 * xxh3 of the whole chunk (this field as 0) u64, payload.
 *
 * The payload is `PrefixIndex.dump`'s: whoever changes that format raises FORMAT. Cost: xxh3, some 20 µs a chunk.
 */

import { loadTokens, xxh3 } from '#wasm/tokens';
import { LIMITS } from '../runtime/limits.ts';

const MAGIC = 0x50414e53;
const FORMAT = 1;
const HEADER_BYTES = 40;
const CHECKSUM_AT = 32;
/** A block alone under its parent takes four words. */
const BLOCK_BYTES = 32;

/** Blocks that a chunk has room for, however scattered. */
export const CHUNK_BLOCKS = Math.floor((LIMITS.snapshotChunkBytes - HEADER_BYTES) / BLOCK_BYTES);

/** What a chunk belongs to. */
export interface ChunkPlace {
  epoch: number;
  /** Replaying the events after this one on top of the whole snapshot makes it exact. */
  lastEventId: number;
  seq: number;
}

export function encodeChunk(place: ChunkPlace, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  bytes.set(payload, HEADER_BYTES);
  writeHeader(bytes, place);
  new DataView(bytes.buffer).setBigUint64(CHECKSUM_AT, checksum(bytes), true);
  return bytes;
}

/** The payload, a view of `bytes`; null when this is not, in every bit, the chunk of that place. */
export function decodeChunk(place: ChunkPlace, bytes: Uint8Array): Uint8Array | null {
  if (bytes.length < HEADER_BYTES || bytes.length > LIMITS.snapshotChunkBytes) return null;
  const copy = bytes.slice();
  const stored = new DataView(copy.buffer).getBigUint64(CHECKSUM_AT, true);
  // What the header should be, in its place: any difference shows in the sum.
  writeHeader(copy, place);
  return checksum(copy) === stored ? bytes.subarray(HEADER_BYTES) : null;
}

function writeHeader(bytes: Uint8Array, { epoch, lastEventId, seq }: ChunkPlace): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT, true);
  view.setUint32(8, seq, true);
  view.setUint32(12, bytes.length - HEADER_BYTES, true);
  view.setFloat64(16, epoch, true);
  view.setFloat64(24, lastEventId, true);
  view.setBigUint64(CHECKSUM_AT, 0n, true);
}

function checksum(bytes: Uint8Array): bigint {
  loadTokens();
  return xxh3(bytes);
}
