/**
 * What the engine does for KV memory between two batches: blocks that have come are put into cells, blocks that are wanted are copied
 * out. Bounded in time, so that decoding goes on: a share of the batch before, and one block at least.
 *
 * Tells the memory what the cache stores and drops; nothing here runs while a batch is computed.
 */

import { type BlockIdentity, blocksOf } from '../../kvbm/block.ts';
import type { KvBlockManager } from '../../kvbm/manager.ts';
import type { BlockCache, BlockPath } from '../block-cache.ts';
import type { BlockLoads } from './block-loads.ts';
import type { CellMap } from './cell-map.ts';
import type { LlamaContext } from './context.ts';
import type { ExportJob, ExportQueue } from './export-queue.ts';

/** Of the time of a batch, where requests wait for blocks and where nobody does. */
const IMPORT_SHARE = 0.5;
const EXPORT_SHARE = 0.125;
/** A turn without a batch before it. */
const IDLE_SLICE_MS = 10;

export interface KvTurnsParts {
  manager: KvBlockManager;
  exports: ExportQueue;
  loads: BlockLoads;
  context: LlamaContext;
  cells: CellMap;
  cache: BlockCache;
  blockSizeTokens: number;
  totalBlocks: number;
}

export class KvTurns {
  readonly #parts: KvTurnsParts;
  /** By slot: the stored block. */
  readonly #stored: (BlockIdentity | undefined)[];

  constructor(parts: KvTurnsParts) {
    this.#parts = parts;
    this.#stored = new Array<BlockIdentity | undefined>(parts.totalBlocks);
  }

  /** There is something to do. */
  get busy(): boolean {
    return this.#parts.exports.waiting > 0 || this.#parts.loads.ready;
  }

  /** Blocks `from` to `to` (exclusive) of a path are in the cache. */
  stored(path: BlockPath, from: number, to: number): void {
    const blocks = blocksOf(path, from, to);
    for (const [i, block] of blocks.entries()) this.#stored[path.slots[from + i]!] = block;
    this.#parts.manager.stored(blocks);
  }

  /** The cache drops the block of a slot. */
  removed(slot: number): void {
    const block = this.#stored[slot];
    this.#stored[slot] = undefined;
    if (block) this.#parts.manager.removed([block]);
  }

  /** After a batch of `batchMs`; 0: there was none. */
  turn(batchMs: number): void {
    if (!this.busy) return;
    const { context, cells, exports, loads, manager } = this.#parts;
    context.apply(cells.operations);
    const startedMs = performance.now();
    const share = loads.ready ? IMPORT_SHARE : EXPORT_SHARE;
    const endMs = startedMs + (batchMs > 0 ? share * batchMs : IDLE_SLICE_MS);
    let nowMs: number;
    do {
      const imported = loads.importOne();
      const job = exports.take({ urgentOnly: imported });
      if (job) job.done(this.#export(job));
      nowMs = performance.now();
      if (!imported && !job) break;
    } while (nowMs < endMs);
    manager.engineSpent(nowMs - startedMs);
  }

  #export({ identity, into }: ExportJob): boolean {
    const { context, cells, cache, blockSizeTokens } = this.#parts;
    const { hash, position } = identity;
    const slot = cache.find(Number(hash & 0xffff_ffffn), Number(hash >> 32n));
    if (slot < 0) return false;
    context.apply(cells.operations);
    const start = position * blockSizeTokens;
    return context.exportState({ id: cells.holderOf(slot), start, end: start + blockSizeTokens }, into);
  }
}
