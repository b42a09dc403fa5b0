/**
 * How the bytes of a KV block are laid out: what two ends must agree on before either reads the other's bytes.
 *
 * A layout is data; `blockBytes` says its size, `layoutDigest` names it (in file headers and object keys, so that bytes of
 * another model are never found), `requireSameLayout` names the first field in which two ends differ.
 */

import { xxh3 } from '#wasm/tokens';
import { StatorError } from '../../durable/runtime/errors.ts';

/** Bytes of a group of elements: quantised types store scales with each group. */
const DTYPES = {
  f32: { elements: 1, bytes: 4 },
  f16: { elements: 1, bytes: 2 },
  bf16: { elements: 1, bytes: 2 },
  f8: { elements: 1, bytes: 1 },
  q8_0: { elements: 32, bytes: 34 },
  q4_0: { elements: 32, bytes: 18 },
} as const;

export type KvDtype = keyof typeof DTYPES;

export interface BlockLayout {
  /** The model and its version, as the model card names them; equal weights have equal names. */
  readonly model: string;
  /** Who wrote the bytes and in which arrangement (`llama-state-1`): other arrangements of equal size differ here. */
  readonly format: string;
  readonly dtype: KvDtype;
  readonly layers: number;
  readonly kvHeads: number;
  readonly keyHeadSize: number;
  /** 0 where keys and values share one latent vector (MLA). */
  readonly valueHeadSize: number;
  readonly blockSizeTokens: number;
  /** What the engine puts around the numbers of a block. */
  readonly overheadBytes: number;
}

/** In this order differences are told, and digests made. */
const FIELDS = [
  'model',
  'format',
  'dtype',
  'layers',
  'kvHeads',
  'keyHeadSize',
  'valueHeadSize',
  'blockSizeTokens',
  'overheadBytes',
] as const satisfies readonly (keyof BlockLayout)[];

/** Size of a block. Throws `invalid_request` when a vector is no whole number of the dtype's groups. */
export function blockBytes(layout: BlockLayout): number {
  const { elements, bytes } = DTYPES[layout.dtype];
  for (const field of ['keyHeadSize', 'valueHeadSize'] as const) {
    if ((layout[field] * layout.kvHeads) % elements === 0) continue;
    const message = `block layout: ${field} ${layout[field]} × ${layout.kvHeads} heads is no multiple of ${elements} (${layout.dtype})`;
    throw new StatorError('invalid_request', message, { param: field });
  }
  const perToken = (layout.kvHeads * (layout.keyHeadSize + layout.valueHeadSize) * bytes) / elements;
  return layout.overheadBytes + layout.blockSizeTokens * layout.layers * perToken;
}

/** A name of 16 hex digits that equal layouts share. */
export function layoutDigest(layout: BlockLayout): string {
  const text = FIELDS.map((field) => `${field}=${layout[field]}`).join('\n');
  return xxh3(new TextEncoder().encode(text)).toString(16).padStart(16, '0');
}

/** Throws `card_mismatch` naming the first field in which the other end differs. */
export function requireSameLayout(ours: BlockLayout, theirs: BlockLayout): void {
  for (const field of FIELDS) {
    if (ours[field] === theirs[field]) continue;
    throw new StatorError(
      'card_mismatch',
      `block layout: ${field} is ${ours[field]} here and ${theirs[field]} at the other end`,
      { param: field },
    );
  }
}
