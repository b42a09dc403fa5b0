/**
 * Which tiers have which block, in one place, and who is told when that changes.
 *
 * Each change is one event with its tier; `first` and `last` say that no other tier has the block, so whoever wants one view of
 * all tiers listens to those alone: stored once, removed once. Bounded by what the tiers can hold.
 */

import type { BlockIdentity } from './block.ts';

const TIER_BIT = { device: 1, host: 2, disk: 4, external: 8 } as const;
export type KvTier = keyof typeof TIER_BIT;

/** A block came into a tier or left it. */
export type BlockEvent =
  | { kind: 'stored'; tier: KvTier; block: BlockIdentity; first: boolean }
  | { kind: 'removed'; tier: KvTier; block: BlockIdentity; last: boolean };

export type BlockListener = (event: BlockEvent) => void;

export class Residency {
  readonly #tiers = new Map<bigint, number>();
  readonly #listeners = new Set<BlockListener>();

  get blocks(): number {
    return this.#tiers.size;
  }

  has(tier: KvTier, hash: bigint): boolean {
    return ((this.#tiers.get(hash) ?? 0) & TIER_BIT[tier]) !== 0;
  }

  stored(tier: KvTier, block: BlockIdentity): void {
    const before = this.#tiers.get(block.hash) ?? 0;
    if ((before & TIER_BIT[tier]) !== 0) return;
    this.#tiers.set(block.hash, before | TIER_BIT[tier]);
    this.#tell({ kind: 'stored', tier, block, first: before === 0 });
  }

  removed(tier: KvTier, block: BlockIdentity): void {
    const before = this.#tiers.get(block.hash) ?? 0;
    if ((before & TIER_BIT[tier]) === 0) return;
    const after = before & ~TIER_BIT[tier];
    if (after === 0) this.#tiers.delete(block.hash);
    else this.#tiers.set(block.hash, after);
    this.#tell({ kind: 'removed', tier, block, last: after === 0 });
  }

  /** The returned function ends it. */
  subscribe(listener: BlockListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell(event: BlockEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
