/**
 * One chunk of a snapshot as bytes: a frame of a worker's dump as it came, with what it must agree with. Little-endian:
 * magic u32, format u32, seq u32, payload bytes u32, epoch f64, xxh3 of the whole chunk (this field as 0) u64, payload.
 *
 * The payload is a WorkerFrame of fleet.proto: whoever changes its meaning raises FORMAT. Cost: xxh3, some 20 µs a chunk.
 */

import { loadTokens, xxh3 } from '#wasm/tokens';
import { LIMITS } from '../runtime/limits.ts';

const MAGIC = 0x50414e53;
const FORMAT = 1;
const HEADER_BYTES = 32;
const CHECKSUM_AT = 24;

/** What a chunk belongs to. */
export interface ChunkPlace {
  epoch: number;
  seq: number;
}

/** Throws when the payload is larger than a chunk may be. */
export function encodeChunk(place: ChunkPlace, payload: Uint8Array): Uint8Array {
  const { snapshotChunkBytes } = LIMITS;
  if (HEADER_BYTES + payload.length > snapshotChunkBytes) {
    throw new RangeError(`a snapshot chunk of ${payload.length} bytes; the limit is ${snapshotChunkBytes}`);
  }
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  bytes.set(payload, HEADER_BYTES);
  writeHeader(bytes, place);
  return bytes;
}

/** The payload, a view of `bytes`; null when this is not, in every bit, the chunk of that place. */
export function decodeChunk(place: ChunkPlace, bytes: Uint8Array): Uint8Array | null {
  if (bytes.length < HEADER_BYTES || bytes.length > LIMITS.snapshotChunkBytes) return null;
  const expected = bytes.slice();
  writeHeader(expected, place);
  for (let i = 0; i < HEADER_BYTES; i++) if (expected[i] !== bytes[i]) return null;
  return bytes.subarray(HEADER_BYTES);
}

function writeHeader(bytes: Uint8Array, { epoch, seq }: ChunkPlace): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT, true);
  view.setUint32(8, seq, true);
  view.setUint32(12, bytes.length - HEADER_BYTES, true);
  view.setFloat64(16, epoch, true);
  view.setBigUint64(CHECKSUM_AT, 0n, true);
  view.setBigUint64(CHECKSUM_AT, checksum(bytes), true);
}

function checksum(bytes: Uint8Array): bigint {
  loadTokens();
  return xxh3(bytes);
}
