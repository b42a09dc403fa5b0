/**
 * How this context writes a block of its KV cache (`llama_state_seq_get_data`), measured once at the start: two blocks of a sequence
 * must have the same size, and come back as they were. Costs a batch of two blocks.
 *
 * The library's version is part of the format's name, because the arrangement is llama.cpp's own business; the number of the
 * sequence that is written with it is always `SCRATCH`.
 */

import { StatorError } from '../../../durable/runtime/errors.ts';
import { type BlockLayout, blockBytes } from '../../kvbm/layout.ts';
import type { GgufAttention } from '../../models/gguf/metadata.ts';
import type { LlamaContext } from './context.ts';

const FORMAT = 'llama-state-1';

export interface MeasuredModel {
  /** Name and version: equal weights have equal names. */
  model: string;
  attention: GgufAttention | null;
  /** Keys and values are F32, not F16. */
  exact: boolean;
  libraryVersion: string;
  blockSizeTokens: number;
}

/** Any token that the model has. */
const TOKEN = 0;
/** A sequence that is in use only here. */
const PROBE = 1;

/** Leaves the context empty. Throws `invalid_request` when blocks of this model cannot be kept. */
export async function measureLayout(context: LlamaContext, measured: MeasuredModel): Promise<BlockLayout> {
  const { attention, blockSizeTokens } = measured;
  if (attention === null) throw unfit('the model file does not say how large its keys and values are');
  for (let position = 0; position < 2 * blockSizeTokens; position++)
    context.add(TOKEN, { position, sequence: PROBE, wanted: false });
  await context.decode();
  const ranges = [0, 1].map((block) => ({
    id: PROBE,
    start: block * blockSizeTokens,
    end: (block + 1) * blockSizeTokens,
  }));
  const sizes = ranges.map((range) => context.stateBytes(range));
  if (sizes[0] !== sizes[1]) throw unfit(`its blocks differ in size (${sizes.join(' and ')} bytes)`);
  const blocks = ranges.map((range) => {
    const bytes = new Uint8Array(sizes[0]!);
    return { range, bytes, good: context.exportState(range, bytes) };
  });
  context.remove(PROBE);
  const again = new Uint8Array(sizes[0]!);
  for (const { range, bytes, good } of blocks) {
    const same =
      good &&
      context.importState(bytes, range) &&
      context.exportState(range, again) &&
      Buffer.compare(again, bytes) === 0;
    if (!same) throw unfit('its blocks do not come back as they were');
  }
  context.remove(PROBE);
  const layout: BlockLayout = {
    model: measured.model,
    format: `${FORMAT} (${measured.libraryVersion})`,
    dtype: measured.exact ? 'f32' : 'f16',
    ...attention,
    blockSizeTokens,
    overheadBytes: 0,
  };
  const overheadBytes = sizes[0]! - blockBytes(layout);
  if (overheadBytes < 0) throw unfit('its layers differ in what they keep');
  return { ...layout, overheadBytes };
}

const unfit = (reason: string): StatorError =>
  new StatorError('invalid_request', `KV memory: ${reason}`, { param: 'kvbmHostCacheGb' });
