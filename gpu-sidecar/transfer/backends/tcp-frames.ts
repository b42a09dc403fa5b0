/**
 * Frames on a connection for blocks, little-endian, 24 bytes each:
 *
 *   reader → source, once   magic u32 · version u16 · 0 u16 · capability 16 bytes
 *   source → reader         magic u32 · kind u16 · 0 u16 · index u32 · length u32 · sequence hash u64, then the block's bytes
 */

import { CAPABILITY_BYTES } from '../backend.ts';

export const FRAME_BYTES = 24;
const MAGIC = 0x5646_4b53;
const VERSION = 1;
const KIND = { block: 1, refused: 2 } as const;

export function encodeHello(capability: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, VERSION, true);
  bytes.set(capability.subarray(0, CAPABILITY_BYTES), 8);
  return bytes;
}

/** The capability; null: it is no hello of this version. */
export function decodeHello(bytes: Uint8Array): Uint8Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length !== FRAME_BYTES || view.getUint32(0, true) !== MAGIC) return null;
  return view.getUint16(4, true) === VERSION ? bytes.slice(8) : null;
}

export interface BlockFrame {
  index: number;
  length: number;
  hash: bigint;
}

export function encodeBlock({ index, length, hash }: BlockFrame): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, KIND.block, true);
  view.setUint32(8, index, true);
  view.setUint32(12, length, true);
  view.setBigUint64(16, hash, true);
  return bytes;
}

/** The answer to a capability that stands for nothing (any more). */
export function encodeRefusal(): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, KIND.refused, true);
  return bytes;
}

/** null: it is no frame. */
export function decodeFrame(bytes: Uint8Array): BlockFrame | 'refused' | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length !== FRAME_BYTES || view.getUint32(0, true) !== MAGIC) return null;
  const kind = view.getUint16(4, true);
  if (kind === KIND.refused) return 'refused';
  if (kind !== KIND.block) return null;
  return {
    index: view.getUint32(8, true),
    length: view.getUint32(12, true),
    hash: view.getBigUint64(16, true),
  };
}
