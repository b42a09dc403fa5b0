/**
 * What is written beside the bytes of a block, on disk and in object stores: 64 bytes, little-endian, with a checksum of their own.
 *
 *   0 magic u32 · 4 version u16 · 6 has parent u16 · 8 hash · 16 parent · 24 tokens hash · 32 position u32 · 36 length u32 ·
 *   40 checksum of the bytes · 48 layout digest · 56 XXH3 of the 56 bytes before
 */

import { xxh3 } from '#wasm/tokens';
import type { BlockDescription } from './tier-store.ts';

export const RECORD_BYTES = 64;
const MAGIC = 0x4256_4b53;
const VERSION = 1;
const CHECKED_BYTES = 56;

/** `layout`: a digest of 16 hex digits. */
export function encodeRecord(described: BlockDescription, length: number, layout: string): Uint8Array {
  const { identity, checksum } = described;
  const bytes = new Uint8Array(RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, VERSION, true);
  view.setUint16(6, identity.parent === null ? 0 : 1, true);
  view.setBigUint64(8, identity.hash, true);
  view.setBigUint64(16, identity.parent ?? 0n, true);
  view.setBigUint64(24, identity.tokensHash, true);
  view.setUint32(32, identity.position, true);
  view.setUint32(36, length, true);
  view.setBigUint64(40, checksum, true);
  view.setBigUint64(48, BigInt(`0x${layout}`), true);
  view.setBigUint64(56, xxh3(bytes.subarray(0, CHECKED_BYTES)), true);
  return bytes;
}

/** null when it is none, is damaged, or speaks of blocks of another layout or length. */
export function decodeRecord(bytes: Uint8Array, length: number, layout: string): BlockDescription | null {
  if (bytes.length < RECORD_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_BYTES);
  if (view.getUint32(0, true) !== MAGIC || view.getUint16(4, true) !== VERSION) return null;
  if (view.getBigUint64(56, true) !== xxh3(bytes.subarray(0, CHECKED_BYTES))) return null;
  if (view.getUint32(36, true) !== length || view.getBigUint64(48, true) !== BigInt(`0x${layout}`))
    return null;
  return {
    identity: {
      hash: view.getBigUint64(8, true),
      parent: view.getUint16(6, true) === 0 ? null : view.getBigUint64(16, true),
      tokensHash: view.getBigUint64(24, true),
      position: view.getUint32(32, true),
    },
    checksum: view.getBigUint64(40, true),
  };
}
