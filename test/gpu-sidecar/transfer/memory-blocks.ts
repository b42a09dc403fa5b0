/**
 * KV memory as a transfer sees it, without pools and tiers: blocks in a real arena, holds and slots counted. The serving half can
 * have blocks come later or never, and damage them; the receiving half knows what it took.
 */

import { randomFillSync } from 'node:crypto';
import type { BlockIdentity } from '../../../gpu-sidecar/kvbm/block.ts';
import { type BlockLayout, blockBytes } from '../../../gpu-sidecar/kvbm/layout.ts';
import { blockChecksum } from '../../../gpu-sidecar/kvbm/tiers/checksum.ts';
import { HostArena } from '../../../gpu-sidecar/kvbm/tiers/host-arena.ts';
import type {
  BlockReceiver,
  BlockServer,
  ReceivingBlock,
  ServedBlock,
} from '../../../gpu-sidecar/transfer/blocks.ts';
import { bytesOf } from '../kvbm/named-blocks.ts';

const arenaOf = (layout: BlockLayout, capacityBlocks: number) =>
  new HostArena({ capacityBlocks, blockBytes: blockBytes(layout), shared: true });

/** A layout whose blocks have this many bytes. */
export const layoutOfBytes = (bytes: number): BlockLayout => ({
  model: 'stator-tiny@1',
  format: 'test-1',
  dtype: 'f16',
  layers: 1,
  kvHeads: 1,
  keyHeadSize: 64,
  valueHeadSize: 64,
  blockSizeTokens: 16,
  overheadBytes: bytes - 16 * 256,
});

interface Stored {
  slot: number;
  checksum: bigint;
}

export class MemoryServer implements BlockServer {
  readonly layout: BlockLayout;
  readonly arena: HostArena;
  /** Holds that live. */
  held = 0;
  readonly #stored = new Map<bigint, Stored>();
  readonly #never = new Set<bigint>();
  #changed: (() => void)[] = [];

  constructor(layout: BlockLayout, capacityBlocks: number) {
    this.layout = layout;
    this.arena = arenaOf(layout, capacityBlocks);
  }

  /** These are in host memory now. */
  put(blocks: readonly BlockIdentity[]): void {
    for (const identity of blocks) {
      const slot = this.#stored.size;
      const bytes = this.arena.block(slot);
      bytes.set(bytesOf(identity, bytes.length));
      this.#stored.set(identity.hash, { slot, checksum: blockChecksum(identity.hash, bytes) });
    }
    this.#change();
  }

  /** The same with bytes that cost little to make. */
  putRandom(blocks: readonly BlockIdentity[]): void {
    for (const { hash } of blocks) {
      const slot = this.#stored.size;
      const bytes = this.arena.block(slot);
      if (slot === 0) randomFillSync(bytes);
      else bytes.set(this.arena.block(0));
      this.#stored.set(hash, { slot, checksum: blockChecksum(hash, bytes) });
    }
    this.#change();
  }

  /** What it has of a block, right or damaged. */
  bytesOf({ hash }: BlockIdentity): Uint8Array | null {
    const stored = this.#stored.get(hash);
    return stored ? this.arena.block(stored.slot) : null;
  }

  /** Will not be there, ever. */
  refuse({ hash }: BlockIdentity): void {
    this.#never.add(hash);
    this.#change();
  }

  /** One bit of it turns in memory. */
  flip({ hash }: BlockIdentity, bit: number): void {
    this.arena.block(this.#stored.get(hash)!.slot)[bit >> 3]! ^= 1 << (bit & 7);
  }

  hold(hash: bigint): ServedBlock | null {
    const stored = this.#stored.get(hash);
    if (stored === undefined) return null;
    this.held++;
    let live = true;
    return {
      ...stored,
      identity: { hash, parent: null, tokensHash: 0n, position: 0 },
      bytes: this.arena.block(stored.slot),
      [Symbol.dispose]: () => {
        if (!live) throw new Error('a hold was let go of twice');
        live = false;
        this.held--;
      },
    };
  }

  async whenHeld({ hash }: BlockIdentity, signal: AbortSignal): Promise<ServedBlock | null> {
    for (;;) {
      if (signal.aborted || this.#never.has(hash)) return null;
      const held = this.hold(hash);
      if (held) return held;
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  #change(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }
}

export class MemoryReceiver implements BlockReceiver {
  readonly layout: BlockLayout;
  readonly arena: HostArena;
  readonly #free: number[];
  readonly #there = new Map<bigint, number>();

  constructor(layout: BlockLayout, capacityBlocks: number) {
    this.layout = layout;
    this.arena = arenaOf(layout, capacityBlocks);
    this.#free = Array.from({ length: capacityBlocks }, (_, i) => capacityBlocks - 1 - i);
  }

  /** Slots that nobody has. */
  get freeSlots(): number {
    return this.#free.length;
  }

  /** The bytes of a block that has come; null when it has not. */
  bytesOf({ hash }: BlockIdentity): Uint8Array | null {
    const slot = this.#there.get(hash);
    return slot === undefined ? null : this.arena.block(slot);
  }

  has({ hash }: BlockIdentity): boolean {
    return this.#there.has(hash);
  }

  /** Everything goes, as if it were never here. */
  clear(): void {
    this.#free.push(...this.#there.values());
    this.#there.clear();
  }

  receive({ hash }: BlockIdentity): ReceivingBlock | 'present' | null {
    if (this.#there.has(hash)) return 'present';
    const slot = this.#free.pop();
    if (slot === undefined) return null;
    let live = true;
    return {
      slot,
      bytes: this.arena.block(slot),
      complete: () => {
        if (!live) throw new Error('a slot that was given back is completed');
        live = false;
        this.#there.set(hash, slot);
      },
      [Symbol.dispose]: () => {
        if (live) this.#free.push(slot);
        live = false;
      },
    };
  }
}
