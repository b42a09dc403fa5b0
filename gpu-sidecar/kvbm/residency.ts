/**
 * Which tiers have which block, in one place, and who is told when that changes.
 *
 * Each change is one event with its tier; `first` and `last` say that no other tier has the block, so whoever wants one view of
 * all tiers listens to those alone: stored once, removed once. Whoever comes late is told first what is there. Bounded by what
 * the tiers can hold.
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
  readonly #blocks = new Map<bigint, { readonly block: BlockIdentity; tiers: number }>();
  readonly #listeners = new Set<BlockListener>();

  get blocks(): number {
    return this.#blocks.size;
  }

  has(tier: KvTier, hash: bigint): boolean {
    return ((this.#blocks.get(hash)?.tiers ?? 0) & TIER_BIT[tier]) !== 0;
  }

  stored(tier: KvTier, block: BlockIdentity): void {
    const entry = this.#blocks.get(block.hash);
    const before = entry?.tiers ?? 0;
    if ((before & TIER_BIT[tier]) !== 0) return;
    if (entry) entry.tiers |= TIER_BIT[tier];
    else this.#blocks.set(block.hash, { block, tiers: TIER_BIT[tier] });
    this.#tell({ kind: 'stored', tier, block, first: before === 0 });
  }

  removed(tier: KvTier, block: BlockIdentity): void {
    const entry = this.#blocks.get(block.hash);
    if (!entry || (entry.tiers & TIER_BIT[tier]) === 0) return;
    entry.tiers &= ~TIER_BIT[tier];
    if (entry.tiers === 0) this.#blocks.delete(block.hash);
    this.#tell({ kind: 'removed', tier, block, last: entry.tiers === 0 });
  }

  /** The returned function ends it. */
  subscribe(listener: BlockListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The same, but what is there is told first, parents before their children. */
  follow(listener: BlockListener): () => void {
    for (const { block, tiers } of this.#inOrder()) {
      let first = true;
      for (const tier of Object.keys(TIER_BIT) as KvTier[]) {
        if ((tiers & TIER_BIT[tier]) === 0) continue;
        listener({ kind: 'stored', tier, block, first });
        first = false;
      }
    }
    return this.subscribe(listener);
  }

  #inOrder(): { block: BlockIdentity; tiers: number }[] {
    return [...this.#blocks.values()].sort((a, b) => a.block.position - b.block.position);
  }

  #tell(event: BlockEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
