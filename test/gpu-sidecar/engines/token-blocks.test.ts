/** Block hashes of a growing sequence, against the published vectors. */

import { describe, expect, it } from 'vitest';
import { TokenBlocks } from '../../../gpu-sidecar/engines/token-blocks.ts';
import { wasmBlockHasher } from '../../../gpu-sidecar/engines/wasm-hasher.ts';

const blocksOf = (tokens: number[], blockSizeTokens: number, hashSeed = 0n) =>
  new TokenBlocks(
    { tokenIds: Uint32Array.from(tokens), hashSeed },
    { blockSizeTokens, hasher: wasmBlockHasher },
  );

const decimal = (words: Uint32Array, blocks: number): string[] =>
  [...new BigUint64Array(words.slice(0, 2 * blocks).buffer)].map(String);

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe('the blocks of a sequence', () => {
  it('have the hashes of semantics §2.5', () => {
    const blocks = blocksOf(range(1, 9), 4);
    expect(decimal(blocks.localHashes, 2)).toEqual(['14643705804678351452', '16777012769546811212']);
    expect(decimal(blocks.sequenceHashes, 2)).toEqual(['14643705804678351452', '4945711292740353085']);
    const adapter = blocksOf(range(0, 32), 16, 8842669519798868182n);
    expect(decimal(adapter.localHashes, 2)).toEqual(['17429507120064042683', '1723388133915243822']);
    expect(decimal(adapter.sequenceHashes, 2)[1]).toBe('4583864956845344433');
  });

  it('are the same whether the tokens came at once or one by one', () => {
    const tokens = range(5, 150);
    const whole = blocksOf(tokens, 4);
    for (const prompt of [1, 3, 4, 5, 64]) {
      const grown = blocksOf(tokens.slice(0, prompt), 4);
      for (const token of tokens.slice(prompt)) grown.push(token);
      expect(grown.complete).toBe(whole.complete);
      expect(decimal(grown.localHashes, 36)).toEqual(decimal(whole.localHashes, 36));
      expect(decimal(grown.sequenceHashes, 36)).toEqual(decimal(whole.sequenceHashes, 36));
    }
  });

  it('keep the slots that they are given', () => {
    const blocks = blocksOf([1], 4);
    for (let i = 0; i < 40; i++) blocks.setSlot(i, 100 + i);
    expect([...blocks.slots.subarray(0, 40)]).toEqual(range(100, 140));
  });
});
