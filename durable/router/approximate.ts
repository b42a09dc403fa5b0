/**
 * What workers probably have cached, told by nothing but where prompts were sent (semantics §1.6): every prompt that is
 * routed is stored for its worker in a prefix index, and forgotten again.
 *
 * `ttl`: a block is forgotten `ttlMs` after it was last routed there, in steps of 100 ms, rounded up; past `maxTreeSize`
 * blocks the ones longest not routed go, down to `pruneTargetRatio` of it, a bounded number a turn. `lru`: past the
 * capacity of its worker the one longest not routed there goes.
 *
 * A block is known by a number made of its path and slot (53 bits, so that it is exact in a double: at a million blocks
 * two collide once in ten thousand runs, which misleads one prediction). Maps keep their entries in the order in
 * which they were last routed; of one prompt the last block comes first, so parents always outlive their children.
 * Cost: two map operations a block of the prompt; nothing where the mode is off.
 */

import { LIMITS } from '../runtime/limits.ts';
import { HASH_BYTES, type PrefixIndex, TIER } from './blocks.ts';
import type { Policy } from './policy.ts';

const BUCKET_MS = 100;
const SLOTS = LIMITS.slotsPerModel;
const WORD = 0x1_0000_0000;

/** Key of a block → bucket of its expiry × SLOTS + slot. */
type Ages = Map<number, number>;

export class ApproximateCache {
  readonly index: PrefixIndex;
  readonly #options: Policy['approximate'];
  /** By `ttl` one for all slots (at 0), by `lru` one for each slot. */
  readonly #ages = new Map<number, Ages>();
  /** How often a slot was given to another worker: its keys differ then, so what is left of the older one is dead. */
  readonly #generations: number[] = [];
  #size = 0;
  #pruning = false;
  #sweptBucket = 0;

  constructor(index: PrefixIndex, options: Policy['approximate']) {
    this.index = index;
    this.#options = options;
  }

  /** Blocks remembered, those of workers that left included until they run out. */
  get size(): number {
    return this.#size;
  }

  /** A prompt was sent to the rank of a slot, which has room for `capacityBlocks` (0: unknown). */
  routed(slot: number, tokensHashes: Uint8Array, capacityBlocks: number, nowMs: number): void {
    const { policy, maxTreeSize, ttlMs } = this.#options;
    const lru = policy === 'lru';
    const ages = this.#agesOf(lru ? slot : 0);
    const keys = this.#keys(slot, tokensHashes);
    let known = 0;
    while (known < keys.length && ages.has(keys[known]!)) known++;
    const age = (lru ? 0 : Math.ceil((nowMs + ttlMs) / BUCKET_MS) * SLOTS) + slot;
    for (let at = keys.length - 1; at >= 0; at--) {
      const key = keys[at]!;
      if (!lru && ages.get(key) === age) continue;
      if (at < known) ages.delete(key);
      ages.set(key, age);
    }
    this.#size += keys.length - known;
    if (known < keys.length) this.#store(slot, keys, tokensHashes, known);
    const capacity = lru ? Math.min(capacityBlocks || maxTreeSize, maxTreeSize) : maxTreeSize;
    if (lru) this.#forget(ages, ages.size - capacity, Number.POSITIVE_INFINITY);
    else this.#prune(ages, capacity);
  }

  /** Forgets what ran out. */
  sweep(nowMs: number): void {
    const bucket = Math.floor(nowMs / BUCKET_MS);
    if (this.#options.policy === 'lru' || bucket === this.#sweptBucket) return;
    this.#sweptBucket = bucket;
    const ages = this.#ages.get(0);
    if (ages) this.#forget(ages, ages.size, (bucket + 1) * SLOTS);
  }

  /** The worker of a slot left; the index has been cleared of it, unless it is a side index. */
  clear(slot: number): void {
    this.index.clear(slot);
    this.#generations[slot] = (this.#generations[slot] ?? 0) + 1;
    if (this.#options.policy !== 'lru') return;
    this.#size -= this.#ages.get(slot)?.size ?? 0;
    this.#ages.delete(slot);
  }

  #prune(ages: Ages, capacity: number): void {
    if (ages.size > capacity) this.#pruning = true;
    if (!this.#pruning) return;
    const target = Math.floor(capacity * this.#options.pruneTargetRatio);
    // Never more above the bound than one turn's worth, however long the prompts.
    const most = Math.max(LIMITS.prunedPerTurn, ages.size - capacity);
    this.#forget(ages, Math.min(ages.size - target, most), Number.POSITIVE_INFINITY);
    if (ages.size <= target) this.#pruning = false;
  }

  /** The first `count` entries whose age is below `age`. */
  #forget(ages: Ages, count: number, age: number): void {
    let left = count;
    const bySlot = new Map<number, number[]>();
    for (const [key, value] of ages) {
      if (left-- <= 0 || value >= age) break;
      ages.delete(key);
      this.#size--;
      const slot = value % SLOTS;
      const keys = bySlot.get(slot);
      if (keys) keys.push(key);
      else bySlot.set(slot, [key]);
    }
    for (const [slot, keys] of bySlot) this.index.remove(slot, TIER.device, packed(keys));
  }

  #store(slot: number, keys: readonly number[], tokensHashes: Uint8Array, known: number): void {
    const parent = known === 0 ? packed([]) : packed([keys[known - 1]!]);
    const rest = tokensHashes.subarray(known * HASH_BYTES);
    const status = this.index.store(slot, TIER.device, parent, packed(keys.slice(known)), rest);
    // The index has let go of the beginning, for its own bound.
    if (status === 'parent_block_not_found') {
      this.index.store(slot, TIER.device, packed([]), packed(keys), tokensHashes);
    }
  }

  #agesOf(owner: number): Ages {
    let ages = this.#ages.get(owner);
    if (!ages) {
      ages = new Map();
      this.#ages.set(owner, ages);
    }
    return ages;
  }

  /** The blocks' numbers: each is made of the one before it and its own hash. */
  #keys(slot: number, tokensHashes: Uint8Array): number[] {
    const view = new DataView(tokensHashes.buffer, tokensHashes.byteOffset, tokensHashes.byteLength);
    const keys: number[] = new Array(tokensHashes.byteLength / HASH_BYTES);
    let low = mixed(slot + 1);
    let high = mixed((this.#generations[slot] ?? 0) ^ 0x5bd1_e995);
    for (let at = 0; at < keys.length; at++) {
      low = mixed(low ^ view.getUint32(at * HASH_BYTES, true));
      high = mixed(high ^ view.getUint32(at * HASH_BYTES + 4, true) ^ low);
      keys[at] = (high & 0x1f_ffff) * WORD + (low >>> 0);
    }
    return keys;
  }
}

/** A bijection of 32 bits that spreads them (the finaliser of MurmurHash3). */
function mixed(word: number): number {
  let bits = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return bits ^ (bits >>> 16);
}

function packed(keys: readonly number[]): Uint8Array {
  const words = new Uint32Array(2 * keys.length);
  for (let at = 0; at < keys.length; at++) {
    words[2 * at] = keys[at]! % WORD;
    words[2 * at + 1] = Math.floor(keys[at]! / WORD);
  }
  return new Uint8Array(words.buffer);
}
