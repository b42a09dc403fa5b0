/**
 * A name for the weights of a file, without reading all of it: its size and pieces from all over it. Another model, another
 * quantisation or a fine-tune differ in some piece; two files that differ only between them would be taken for one.
 * Costs a read of a few hundred KiB, whatever the size.
 */

import { open } from 'node:fs/promises';
import { xxh3 } from '#wasm/tokens';
import type { GgufHeader } from './reader.ts';

const PIECES = 128;
const PIECE_BYTES = 4_096;

/** 16 hex digits. */
export async function fingerprint({ path, fileBytes }: GgufHeader): Promise<string> {
  await using file = await open(path);
  const last = Math.max(0, fileBytes - PIECE_BYTES);
  const stride = Math.max(PIECE_BYTES, Math.ceil(last / (PIECES - 1)));
  let sum = xxh3(new TextEncoder().encode(String(fileBytes)));
  const piece = new Uint8Array(PIECE_BYTES);
  for (let at = 0; at < last + stride; at += stride) {
    const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, Math.min(at, last));
    sum = xxh3(piece.subarray(0, bytesRead), sum);
  }
  return sum.toString(16).padStart(16, '0');
}
