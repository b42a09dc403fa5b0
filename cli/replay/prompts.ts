/**
 * The prompts of a trace as the router and the engines see them: hashes of their complete blocks. A prompt's tokens are
 * each hash id repeated for its block, cut at the length (semantics §10), so equal ids give equal blocks whatever the
 * engine's block size. Made once for a trace and a block size, and shared by all replays of it.
 *
 * Cost: about 20 µs for a prompt of 12,000 tokens.
 */

import { DEFAULT_HASH_SEED } from '../../gpu-sidecar/engines/token-blocks.ts';
import { wasmBlockHasher } from '../../gpu-sidecar/engines/wasm-hasher.ts';
import type { Trace } from './trace.ts';

export interface Prompt {
  /** Hashes of the complete blocks as pairs of words (low, high). */
  readonly localHashes: Uint32Array;
  readonly sequenceHashes: Uint32Array;
  /** The same local hashes as the router wants them. */
  readonly localBytes: Uint8Array;
}

const made = new WeakMap<Trace, Map<number, readonly Prompt[]>>();

export function promptsOf(trace: Trace, blockSizeTokens: number): readonly Prompt[] {
  const sizes = made.get(trace) ?? new Map<number, readonly Prompt[]>();
  made.set(trace, sizes);
  const known = sizes.get(blockSizeTokens);
  if (known) return known;
  const prompts = makePrompts(trace, blockSizeTokens);
  sizes.set(blockSizeTokens, prompts);
  return prompts;
}

function makePrompts(trace: Trace, blockSizeTokens: number): Prompt[] {
  const longest = trace.requests.reduce((most, { inputTokens }) => Math.max(most, inputTokens), 0);
  const tokens = new Uint32Array(Math.ceil(longest / trace.blockTokens) * trace.blockTokens);
  return trace.requests.map(({ inputTokens, hashIds }) => {
    const blocks = Math.ceil(inputTokens / trace.blockTokens);
    for (let i = 0; i < blocks; i++)
      tokens.fill(hashIds[i]!, i * trace.blockTokens, (i + 1) * trace.blockTokens);
    const { local, sequence } = wasmBlockHasher.hash(tokens.subarray(0, inputTokens), {
      blockSizeTokens,
      seed: DEFAULT_HASH_SEED,
    });
    const localBytes = new Uint8Array(local.buffer, local.byteOffset, local.byteLength);
    return { localHashes: local, sequenceHashes: sequence, localBytes };
  });
}
