/**
 * The most that any eviction rule can find: gives up the block whose next use is farthest away (Belady, 1966). A prefix is used no
 * later than what follows it, and among equals the deeper block goes, so what is kept is always a beginning.
 */

import type { BlockIdentity } from '../../gpu-sidecar/kvbm/block.ts';
import { SlotHeap } from '../../gpu-sidecar/kvbm/eviction/slot-heap.ts';

/** Blocks that were found. */
export function beladyHits(requests: readonly BlockIdentity[][], capacity: number): number {
  const nextUses = futureUses(requests);
  const heap = new SlotHeap(capacity);
  const slots = new Map<bigint, number>();
  const hashes: bigint[] = [];
  let hits = 0;
  requests.forEach((blocks, index) => {
    let found = 0;
    while (found < blocks.length && slots.has(blocks[found]!.hash)) found++;
    hits += found;
    for (let i = blocks.length - 1; i >= 0; i--) {
      const slot = slots.get(blocks[i]!.hash);
      if (slot !== undefined) heap.remove(slot);
    }
    blocks.forEach(({ hash }, position) => {
      let slot = slots.get(hash);
      if (slot === undefined) {
        if (slots.size < capacity) slot = slots.size;
        else {
          slot = heap.first;
          if (slot < 0) return;
          heap.remove(slot);
          slots.delete(hashes[slot]!);
        }
        slots.set(hash, slot);
        hashes[slot] = hash;
      }
      pending.push({ slot, key: -nextUses[index]![position]!, position });
    });
    for (const { slot, key, position } of pending) heap.add(slot, key, position);
    pending.length = 0;
  });
  return hits;
}

const pending: { slot: number; key: number; position: number }[] = [];

/** For each block of each request, the number of the next request that has it; infinite when there is none. */
function futureUses(requests: readonly BlockIdentity[][]): Float64Array[] {
  const next = new Map<bigint, number>();
  const uses: Float64Array[] = new Array(requests.length);
  for (let index = requests.length - 1; index >= 0; index--) {
    uses[index] = Float64Array.from(requests[index]!, ({ hash }) => next.get(hash) ?? Infinity);
    for (const { hash } of requests[index]!) next.set(hash, index);
  }
  return uses;
}
