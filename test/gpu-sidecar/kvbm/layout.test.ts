/** Block layouts: sizes, names, and which difference is told. */

import { describe, expect, it } from 'vitest';
import { blockBytes, layoutDigest, requireSameLayout } from '../../../gpu-sidecar/kvbm/layout.ts';
import { LAYOUT } from './named-blocks.ts';

describe('the size of a block', () => {
  it('is tokens × layers × heads × both vectors × bytes, and what the engine adds', () => {
    expect(blockBytes(LAYOUT)).toBe(16 * 5 * 128 * 2);
    expect(blockBytes({ ...LAYOUT, overheadBytes: 24 })).toBe(16 * 5 * 128 * 2 + 24);
    // Llama 3.1 8B: 32 layers, 8 heads of 128: 2 MiB for 16 tokens.
    expect(blockBytes({ ...LAYOUT, layers: 32, kvHeads: 8, keyHeadSize: 128, valueHeadSize: 128 })).toBe(
      2 ** 21,
    );
    // One latent vector (MLA).
    expect(blockBytes({ ...LAYOUT, layers: 61, keyHeadSize: 576, valueHeadSize: 0 })).toBe(16 * 61 * 576 * 2);
  });

  it('counts the scales of quantised types, and refuses vectors that are no whole groups', () => {
    expect(blockBytes({ ...LAYOUT, dtype: 'q8_0' })).toBe(16 * 5 * (128 / 32) * 34);
    expect(() => blockBytes({ ...LAYOUT, dtype: 'q4_0', keyHeadSize: 80 })).toThrow(
      'block layout: keyHeadSize 80 × 1 heads is no multiple of 32 (q4_0)',
    );
  });
});

describe('two ends', () => {
  it('that agree have one name', () => {
    expect(() => requireSameLayout(LAYOUT, { ...LAYOUT })).not.toThrow();
    expect(layoutDigest({ ...LAYOUT })).toBe(layoutDigest(LAYOUT));
    expect(layoutDigest(LAYOUT)).toMatch(/^[0-9a-f]{16}$/);
  });

  it.each([
    ['model', 'stator-tiny@2'],
    ['format', 'test-2'],
    ['dtype', 'bf16'],
    ['layers', 6],
    ['kvHeads', 2],
    ['keyHeadSize', 32],
    ['valueHeadSize', 32],
    ['blockSizeTokens', 32],
    ['overheadBytes', 8],
  ] as const)('that differ in %s are told so', (field, value) => {
    const theirs = { ...LAYOUT, [field]: value };
    expect(() => requireSameLayout(LAYOUT, theirs)).toThrow(
      `block layout: ${field} is ${LAYOUT[field]} here and ${value} at the other end`,
    );
    expect(layoutDigest(theirs)).not.toBe(layoutDigest(LAYOUT));
  });
});
