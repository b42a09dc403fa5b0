/**
 * Requests whose prompt goes on in a lower tier: finds that out at admission, has the blocks brought into host memory, and puts them
 * into cells between batches, a block at a time, while other requests go on. What came is stored in the cache at once, so that equal
 * prompts share it; requests that want the same block next wait for it instead of bringing it again.
 *
 * Whatever does not come is computed: each request is looked up once, again only when it was preempted. Invariant: a load ends in
 * `finish` or `left`, and after either nothing of it is held in host memory. The last token of a prompt is never loaded.
 */

import { type BlockIdentity, blocksOf } from '../../kvbm/block.ts';
import type { KvBlockManager } from '../../kvbm/manager.ts';
import type { Onboarding } from '../../kvbm/onboard/onboarding.ts';
import type { HostLoads } from '../batch-scheduler.ts';
import type { BlockCache } from '../block-cache.ts';
import type { CellMap } from './cell-map.ts';
import type { LlamaContext } from './context.ts';
import type { LlamaSequence } from './sequence.ts';

/** Blocks that are brought at a time, at most half of host memory: the first are put into cells while the next are read. */
const PART_BLOCKS = 32;

interface Load {
  readonly sequence: LlamaSequence;
  readonly controller: AbortController;
  /** From `from` on. */
  readonly blocks: readonly BlockIdentity[];
  readonly from: number;
  /** Blocks that are in cells. */
  at: number;
  /** In host memory. */
  readonly parts: Onboarding[];
  /** Of the first part. */
  imported: number;
  /** Next block to ask for: after the last when no more come. */
  next: number;
  asking: boolean;
}

export interface BlockLoadsParts {
  manager: KvBlockManager;
  context: LlamaContext;
  cells: CellMap;
  cache: BlockCache;
  blockSizeTokens: number;
  /** Blocks of a request up to `heldBlocks` are there, more will not come; whoever waits for some looks again. */
  fetched: (sequence: LlamaSequence, heldBlocks: number) => void;
  wake: () => void;
  /** Something to import has come. */
  arrived: () => void;
}

export class BlockLoads implements HostLoads<LlamaSequence> {
  readonly #parts: BlockLoadsParts;
  readonly #loads = new Map<LlamaSequence, Load>();
  /** First blocks of loads under way. */
  readonly #coming = new Set<bigint>();

  constructor(parts: BlockLoadsParts) {
    this.#parts = parts;
  }

  /** Whether `importOne` has something to do. */
  get ready(): boolean {
    for (const load of this.#loads.values()) if (isReady(load)) return true;
    return false;
  }

  lookup(sequence: LlamaSequence, deviceBlocks: number): number | 'later' {
    const { manager, blockSizeTokens } = this.#parts;
    if (sequence.lookUp === 'done') return 0;
    if (sequence.lookUp === 'asking') return 'later';
    const most = Math.floor((sequence.known - 1) / blockSizeTokens);
    if (deviceBlocks >= most) return 0;
    const blocks = blocksOf(sequence.blocks, deviceBlocks, most);
    if (this.#coming.has(blocks[0]!.hash)) return 'later';
    const found = manager.match(blocks).blocks;
    if (found === blocks.length || !manager.sharesObjects || sequence.lookUp === 'asked') return found;
    sequence.lookUp = 'asking';
    void manager.lookUp(blocks).finally(() => {
      sequence.lookUp = 'asked';
      this.#parts.wake();
    });
    return 'later';
  }

  load(sequence: LlamaSequence, from: number, to: number): void {
    sequence.id = this.#parts.cells.enter(sequence.blocks.slots, from);
    const load: Load = {
      sequence,
      controller: new AbortController(),
      blocks: blocksOf(sequence.blocks, from, to),
      from,
      at: from,
      parts: [],
      imported: 0,
      next: from,
      asking: false,
    };
    this.#loads.set(sequence, load);
    this.#coming.add(load.blocks[0]!.hash);
    this.#ask(load);
  }

  admitted(): void {}

  taken(): void {}

  left(sequence: LlamaSequence): void {
    const load = this.#loads.get(sequence);
    if (load) {
      load.controller.abort();
      this.#end(load);
    }
    if (sequence.id >= 0) this.#parts.cells.leave(sequence.id);
    sequence.id = -1;
  }

  /** Puts one block into cells; false when there is none to be put. */
  importOne(): boolean {
    for (const load of this.#loads.values()) {
      if (!isReady(load)) continue;
      this.#step(load);
      return true;
    }
    return false;
  }

  /** The next part comes while this one is put into cells. */
  #ask(load: Load): void {
    const { manager, arrived } = this.#parts;
    const at = load.next - load.from;
    const most = Math.max(1, Math.min(PART_BLOCKS, manager.hostBlocks >> 1));
    const blocks = load.blocks.slice(at, at + most);
    load.asking = blocks.length > 0;
    if (!load.asking) return;
    const came = (onboarding: Onboarding | null): void => {
      if (load.controller.signal.aborted) {
        onboarding?.[Symbol.dispose]();
        return;
      }
      load.asking = false;
      const count = onboarding?.blocks.length ?? 0;
      // Nothing came: there is no more, or no room beside the part before.
      if (count === 0 && load.parts.length === 0) load.next = load.from + load.blocks.length;
      load.next += count;
      if (onboarding && count > 0) load.parts.push(onboarding);
      else onboarding?.[Symbol.dispose]();
      arrived();
    };
    manager.onboard(blocks, load.controller.signal).then(came, () => came(null));
  }

  #step(load: Load): void {
    const part = load.parts[0];
    if (part === undefined) {
      this.#ask(load);
      if (!load.asking) this.#finish(load);
      return;
    }
    if (load.imported === 0 && !load.asking && load.parts.length === 1) this.#ask(load);
    const block = part.blocks[load.imported];
    if (block === undefined) {
      load.parts.shift();
      part[Symbol.dispose]();
      load.imported = 0;
      return;
    }
    if (!this.#import(load, block.bytes)) {
      this.#parts.manager.unusable(block.identity);
      this.#finish(load);
    } else load.imported++;
  }

  /** Makes a block part of the sequence and of the cache. */
  #import(load: Load, bytes: Uint8Array): boolean {
    const { sequence, at } = load;
    const { context, cells, cache, blockSizeTokens } = this.#parts;
    const { blocks, id } = sequence;
    context.apply(cells.operations);
    // Somebody may have computed it meanwhile.
    const there = cache.find(blocks.sequenceHashes[2 * at]!, blocks.sequenceHashes[2 * at + 1]!) >= 0;
    const range = { id, start: at * blockSizeTokens, end: (at + 1) * blockSizeTokens };
    if (!there && !context.importState(bytes, range)) return false;
    cache.store(blocks, at, at + 1);
    cells.stored(id, { index: at, slot: blocks.slots[at]!, shared: there });
    sequence.storedBlocks = ++load.at;
    return true;
  }

  #finish(load: Load): void {
    const { sequence, at } = load;
    load.controller.abort();
    this.#end(load);
    sequence.lookUp = 'done';
    if (at === 0) {
      this.#parts.cells.leave(sequence.id);
      sequence.id = -1;
    }
    this.#parts.fetched(sequence, at);
    this.#parts.wake();
  }

  #end(load: Load): void {
    for (const part of load.parts.splice(0)) part[Symbol.dispose]();
    this.#loads.delete(load.sequence);
    this.#coming.delete(load.blocks[0]!.hash);
    this.#parts.wake();
  }
}

/** It has something to import, or has ended. */
const isReady = ({ parts, asking }: Load): boolean => parts.length > 0 || !asking;
