/**
 * How the simulated GPU uses its host tier: which prompts are looked for there, what is copied when, and what has to wait
 * for a copy. Without a host tier nothing of this exists.
 *
 * A GPU block that is still being copied out may be taken for something else, but nothing may be computed into it before
 * the copy is over: `computeNotBeforeMs`.
 */

import type { HostLoads } from '../batch-scheduler.ts';
import type { BlockPath } from '../block-cache.ts';
import type { Sequence } from '../sequence.ts';
import {
  type HostBlock,
  HostTier,
  type HostTierOptions,
  type HostTransfer,
  hostBlocks,
} from './host-tier.ts';

/** What becomes true of the tier, for whoever routes by it. */
export interface HostEvents {
  /** Blocks `from` to `to` (exclusive) of the path are there now. */
  stored(path: BlockPath, from: number, to: number): void;
  removed(blocks: readonly HostBlock[]): void;
}

export interface HostOffloadOptions extends Omit<HostTierOptions, 'removed'> {
  events?: HostEvents;
}

interface Held {
  /** Of the complete blocks of the prompt. */
  readonly blocks: HostBlock[];
  /** Prompt blocks before this one are on the host, or on their way. */
  storedTo: number;
  store: HostTransfer | null;
}

export class HostOffload<S extends Sequence> implements HostLoads<S> {
  readonly #tier: HostTier;
  readonly #blockSizeTokens: number;
  readonly #events: HostEvents | undefined;
  readonly #loaded: (sequence: S) => void;
  readonly #requests = new WeakMap<S, Held>();
  /** By GPU slot: the copy that reads it. */
  readonly #copies: (HostTransfer | undefined)[] = [];
  #nowMs = 0;
  #computeNotBeforeMs = 0;

  /** `loaded`: a request's blocks are back on the GPU. */
  constructor(options: HostOffloadOptions & { blockSizeTokens: number }, loaded: (sequence: S) => void) {
    const { events, capacityBlocks, blockMs } = options;
    this.#events = events;
    this.#tier = new HostTier({ capacityBlocks, blockMs, removed: (blocks) => events?.removed(blocks) });
    this.#blockSizeTokens = options.blockSizeTokens;
    this.#loaded = loaded;
  }

  get dueMs(): number {
    return this.#tier.dueMs;
  }

  get isQuiet(): boolean {
    return this.#tier.isQuiet;
  }

  /** A pass is planned at this time; the earliest that it may compute is known after. */
  begin(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  get computeFromMs(): number {
    return Math.max(this.#nowMs, this.#computeNotBeforeMs);
  }

  lookup(sequence: S, deviceBlocks: number): number | 'later' {
    const held = this.#held(sequence);
    if (held.store !== null && held.store.dueMs > this.#nowMs) return 'later';
    const found = deviceBlocks >= held.blocks.length ? 0 : this.#tier.match(held.blocks, deviceBlocks);
    this.#tier.touch(held.blocks);
    return found ?? 'later';
  }

  load(sequence: S, from: number, to: number): void {
    const { blocks } = this.#held(sequence);
    let notBeforeMs = this.#nowMs;
    for (let i = from; i < to; i++)
      notBeforeMs = Math.max(notBeforeMs, this.#copyDueMs(sequence.blocks.slots[i]!));
    this.#tier.load(blocks.slice(from, to), notBeforeMs, () => this.#loaded(sequence));
  }

  admitted(sequence: S, loadedBlocks: number): void {
    if (loadedBlocks > 0) this.#held(sequence).storedTo = loadedBlocks;
  }

  taken(slot: number): void {
    this.#computeNotBeforeMs = Math.max(this.#computeNotBeforeMs, this.#copyDueMs(slot));
  }

  /** Its copies go on: the time that they take is taken. */
  left(): void {}

  /** After planning: what these requests will have computed is copied when the pass is over. */
  store(batch: readonly S[]): void {
    for (const sequence of batch) this.#storeOne(sequence);
  }

  /** The pass is over, or time has passed without one; true when a copy has ended. */
  advance(nowMs: number): boolean {
    const before = this.#tier.advance(nowMs);
    this.#tier.sendStores(nowMs);
    return this.#tier.advance(nowMs) || before;
  }

  #storeOne(sequence: S): void {
    const held = this.#held(sequence);
    const { blocks, storedTo } = held;
    const computed = Math.min(sequence.computed, sequence.request.promptTokens);
    const end = Math.min(Math.floor(computed / this.#blockSizeTokens), blocks.length);
    if (end <= storedTo) return;
    const missing: number[] = [];
    for (let i = storedTo; i < end; i++) if (!this.#tier.has(blocks[i]!)) missing.push(i);
    const slots = missing.map((i) => sequence.blocks.slots[i]!);
    if (slots.some((slot) => this.#copyDueMs(slot) > this.#nowMs)) return;
    if (missing.length > 0) {
      const transfer = this.#tier.store(blocks.slice(storedTo, end), () => {
        for (const slot of slots) if (this.#copies[slot] === transfer) this.#copies[slot] = undefined;
        this.#tell(sequence.blocks, missing);
      });
      if (transfer === null) return;
      for (const slot of slots) this.#copies[slot] = transfer;
      held.store = transfer;
      this.#tier.touch(blocks);
    }
    held.storedTo = end;
  }

  /** Runs of neighbours are one event. */
  #tell(path: BlockPath, indexes: readonly number[]): void {
    for (let at = 0; at < indexes.length; ) {
      const from = indexes[at]!;
      let to = from;
      while (indexes[at] === to) {
        to++;
        at++;
      }
      this.#events?.stored(path, from, to);
    }
  }

  #copyDueMs(slot: number): number {
    return this.#copies[slot]?.dueMs ?? 0;
  }

  #held(sequence: S): Held {
    let held = this.#requests.get(sequence);
    if (held === undefined) {
      const blocks = Math.floor(sequence.request.promptTokens / this.#blockSizeTokens);
      held = { blocks: hostBlocks(sequence.blocks.sequenceHashes, blocks), storedTo: 0, store: null };
      this.#requests.set(sequence, held);
    }
    return held;
  }
}
