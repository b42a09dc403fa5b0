/** Prefix reuse over sequences: every cell that a request attends to must hold its own tokens, whatever happened before. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockCache } from '../../../../gpu-sidecar/engines/block-cache.ts';
import { CellMap } from '../../../../gpu-sidecar/engines/llama/cell-map.ts';
import { TokenBlocks } from '../../../../gpu-sidecar/engines/token-blocks.ts';
import { wasmBlockHasher } from '../../../../gpu-sidecar/engines/wasm-hasher.ts';

const BLOCK = 2;

/** llama.cpp's unified cache, naively: cells with a position, a token, and the sequences that see them. */
class Cells {
  cells: { position: number; token: number; ids: Set<number> }[] = [];

  apply(map: CellMap): void {
    for (const one of map.operations.splice(0)) {
      if (one.kind === 'copy') {
        for (const cell of this.cells) {
          const within = cell.position >= one.start && cell.position < one.end;
          if (within && cell.ids.has(one.from)) cell.ids.add(one.to);
        }
      } else {
        const end = one.end < 0 ? Number.POSITIVE_INFINITY : one.end;
        for (const cell of this.cells) {
          if (cell.position >= one.start && cell.position < end) cell.ids.delete(one.id);
        }
      }
      this.cells = this.cells.filter(({ ids }) => ids.size > 0);
    }
  }

  tokensOf(id: number): number[] {
    const own = this.cells.filter(({ ids }) => ids.has(id)).sort((a, b) => a.position - b.position);
    expect(own.map(({ position }) => position)).toEqual(own.map((_, i) => i));
    return own.map(({ token }) => token);
  }
}

interface Running {
  id: number;
  tokens: number[];
  blocks: TokenBlocks;
  held: number;
  stored: number;
  computed: number;
}

/** An engine in miniature: admits, computes in steps, leaves. */
class Engine {
  readonly cells = new Cells();
  readonly map: CellMap;
  readonly cache: BlockCache;
  running: Running[] = [];

  constructor(shape: { totalBlocks: number; sequences: number }) {
    this.map = new CellMap({ ...shape, blockSizeTokens: BLOCK });
    this.cache = new BlockCache({
      capacityBlocks: shape.totalBlocks,
      observer: { stored: () => {}, removed: (_low, _high, slot) => this.map.evicted(slot) },
    });
  }

  admit(tokens: number[]): void {
    while (this.map.freeIds === 0) if (!this.cache.evictOldest()) return;
    const blocks = new TokenBlocks(
      { tokenIds: Uint32Array.from(tokens), hashSeed: 0n },
      { blockSizeTokens: BLOCK, hasher: wasmBlockHasher },
    );
    const limit = Math.floor((tokens.length - 1) / BLOCK);
    const match = this.cache.match(blocks.sequenceHashes, limit);
    const needed = Math.ceil(tokens.length / BLOCK);
    if (needed - match.blocks + match.inactive > this.cache.availableBlocks) return;
    this.cache.acquire(blocks, match.blocks);
    const id = this.map.enter(blocks.slots, match.blocks);
    for (let i = match.blocks; i < needed; i++) blocks.setSlot(i, this.cache.allocate());
    const stored = match.blocks;
    this.running.push({ id, tokens, blocks, held: needed, stored, computed: stored * BLOCK });
  }

  /** Computes up to `count` tokens of each, in one batch, then stores what became complete. */
  step(count: number): void {
    this.cells.apply(this.map);
    for (const one of this.running) {
      expect(this.cells.tokensOf(one.id)).toEqual(one.tokens.slice(0, one.computed));
      for (let i = 0; i < count && one.computed < one.tokens.length; i++) {
        const position = one.computed++;
        this.cells.cells.push({ position, token: one.tokens[position]!, ids: new Set([one.id]) });
      }
    }
    expect(this.cells.cells.length).toBeLessThanOrEqual(this.cache.capacityBlocks * BLOCK);
    for (const one of this.running) this.store(one);
  }

  store(one: Running): void {
    const complete = Math.floor(one.computed / BLOCK);
    const own = one.blocks.slots.slice();
    this.cache.store(one.blocks, one.stored, complete);
    for (let index = one.stored; index < complete; index++) {
      const slot = one.blocks.slots[index]!;
      this.map.stored(one.id, { index, slot, shared: slot !== own[index] });
    }
    one.stored = complete;
  }

  leave(which: number): void {
    const [one] = this.running.splice(which, 1);
    this.map.leave(one!.id);
    this.cache.release(one!.blocks, one!.held);
  }
}

describe('the cell map', () => {
  it('lets a second request start from the cells of the first', () => {
    const engine = new Engine({ totalBlocks: 8, sequences: 4 });
    engine.admit([1, 2, 3, 4, 5]);
    engine.step(5);
    engine.leave(0);
    engine.admit([1, 2, 3, 4, 6, 7]);
    expect(engine.running[0]!.computed).toBe(4);
    engine.step(2);
    engine.step(0);
    expect(engine.cells.cells).toHaveLength(6);
  });

  it('spends one sequence on two equal requests that ran together', () => {
    const engine = new Engine({ totalBlocks: 8, sequences: 3 });
    engine.admit([1, 2, 3, 4]);
    engine.admit([1, 2, 3, 4]);
    engine.step(4);
    engine.step(0);
    expect(engine.cells.cells).toHaveLength(4);
    engine.leave(0);
    engine.leave(0);
    engine.step(0);
    expect([engine.map.freeIds, engine.cells.cells.length]).toEqual([2, 4]);
  });

  it('always shows a request exactly its own tokens, and never more cells than there are', () => {
    const tokens = fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 9 });
    const action = fc.oneof(
      { weight: 5, arbitrary: tokens.map((admit) => ({ admit })) },
      { weight: 5, arbitrary: fc.integer({ min: 1, max: 6 }).map((step) => ({ step })) },
      { weight: 4, arbitrary: fc.nat().map((leave) => ({ leave })) },
      { weight: 1, arbitrary: fc.constant({ evict: true }) },
      { weight: 1, arbitrary: fc.constant({ clear: true }) },
    );
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 80 }),
        fc.integer({ min: 1, max: 6 }),
        (actions, sequences) => {
          const engine = new Engine({ totalBlocks: 9, sequences });
          for (const one of actions) {
            if ('admit' in one) engine.admit(one.admit);
            else if ('step' in one) engine.step(one.step);
            else if ('leave' in one && engine.running.length > 0)
              engine.leave(one.leave % engine.running.length);
            else if ('evict' in one) engine.cache.evictOldest();
            else if ('clear' in one) engine.cache.clear();
          }
          while (engine.running.length > 0) engine.leave(0);
          engine.cache.clear();
          engine.step(0);
          expect(engine.cells.cells).toEqual([]);
          expect(engine.map.freeIds).toBe(sequences);
        },
      ),
      { numRuns: 500 },
    );
  });
});
