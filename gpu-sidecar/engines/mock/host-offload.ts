/**
 * How the simulated GPU uses its host tier: which prompts are looked for there, what is copied when, and what has to wait
 * for a copy. Without a host tier nothing of this exists.
 *
 * A GPU block that is still being copied out may be taken for something else, but nothing may be computed into it before
 * the copy is over: `computeNotBeforeMs`.
 */

import type { HostLoads } from '../batch-scheduler.ts';
import type { Sequence } from '../sequence.ts';
import { type HostKey, HostTier, type HostTierOptions, type HostTransfer, hostKeys } from './host-tier.ts';

interface Held {
  /** Of the complete blocks of the prompt. */
  readonly keys: HostKey[];
  /** Prompt blocks before this one are on the host, or on their way. */
  storedTo: number;
  store: HostTransfer | null;
}

export class HostOffload<S extends Sequence> implements HostLoads<S> {
  readonly #tier: HostTier;
  readonly #blockSizeTokens: number;
  readonly #loaded: (sequence: S) => void;
  readonly #requests = new WeakMap<S, Held>();
  /** By GPU slot: the copy that reads it. */
  readonly #copies: (HostTransfer | undefined)[] = [];
  #nowMs = 0;
  #computeNotBeforeMs = 0;

  /** `loaded`: a request's blocks are back on the GPU. */
  constructor(options: HostTierOptions & { blockSizeTokens: number }, loaded: (sequence: S) => void) {
    this.#tier = new HostTier(options);
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
    const blocks = deviceBlocks >= held.keys.length ? 0 : this.#tier.match(held.keys, deviceBlocks);
    this.#tier.touch(held.keys);
    return blocks ?? 'later';
  }

  load(sequence: S, from: number, to: number): void {
    const { keys } = this.#held(sequence);
    let notBeforeMs = this.#nowMs;
    for (let i = from; i < to; i++)
      notBeforeMs = Math.max(notBeforeMs, this.#copyDueMs(sequence.blocks.slots[i]!));
    this.#tier.load(keys.slice(from, to), notBeforeMs, () => this.#loaded(sequence));
  }

  admitted(sequence: S, loadedBlocks: number): void {
    if (loadedBlocks > 0) this.#held(sequence).storedTo = loadedBlocks;
  }

  taken(slot: number): void {
    this.#computeNotBeforeMs = Math.max(this.#computeNotBeforeMs, this.#copyDueMs(slot));
  }

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
    const { keys, storedTo } = held;
    const computed = Math.min(sequence.computed, sequence.request.promptTokens);
    const end = Math.min(Math.floor(computed / this.#blockSizeTokens), keys.length);
    if (end <= storedTo) return;
    const missing: number[] = [];
    for (let i = storedTo; i < end; i++)
      if (!this.#tier.has(keys[i]!)) missing.push(sequence.blocks.slots[i]!);
    if (missing.some((slot) => this.#copyDueMs(slot) > this.#nowMs)) return;
    if (missing.length > 0) {
      const transfer = this.#tier.store(keys.slice(storedTo, end), () => {
        for (const slot of missing) if (this.#copies[slot] === transfer) this.#copies[slot] = undefined;
      });
      if (transfer === null) return;
      for (const slot of missing) this.#copies[slot] = transfer;
      held.store = transfer;
      this.#tier.touch(keys);
    }
    held.storedTo = end;
  }

  #copyDueMs(slot: number): number {
    return this.#copies[slot]?.dueMs ?? 0;
  }

  #held(sequence: S): Held {
    let held = this.#requests.get(sequence);
    if (held === undefined) {
      const blocks = Math.floor(sequence.request.promptTokens / this.#blockSizeTokens);
      held = { keys: hostKeys(sequence.blocks.sequenceHashes, blocks), storedTo: 0, store: null };
      this.#requests.set(sequence, held);
    }
    return held;
  }
}
