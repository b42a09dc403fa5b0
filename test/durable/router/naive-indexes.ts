/** The indexes as anybody would write them first: what the wasm ones must agree with, and what tests of the core use. */

import type { BlocksInFlight, Indexes, PrefixIndex, StoreStatus } from '../../../durable/router/blocks.ts';

interface Node {
  children: Map<bigint, Node>;
  slots: Set<number>;
}

const words = (bytes: Uint8Array): bigint[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigUint64(i * 8, true));
};

export const hashes = (...values: (number | bigint)[]): Uint8Array => {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setBigUint64(i * 8, BigInt(value), true);
  return bytes;
};

export class NaivePrefixIndex implements PrefixIndex {
  readonly #root: Node = { children: new Map(), slots: new Set() };
  readonly #bySlot = new Map<number, Map<bigint, Node>>();

  store(slot: number, parent: Uint8Array, blockHashes: Uint8Array, tokensHashes: Uint8Array): StoreStatus {
    const own = this.#own(slot);
    const blocks = words(blockHashes);
    let node = parent.length === 0 ? this.#root : own.get(words(parent)[0]!);
    if (!node) return 'parent_block_not_found';
    if (parent.length > 0 && blocks.includes(words(parent)[0]!)) return 'invalid_block';
    let added = false;
    for (const [i, tokens] of words(tokensHashes).entries()) {
      let child: Node | undefined = node.children.get(tokens);
      if (!child) {
        child = { children: new Map(), slots: new Set() };
        node.children.set(tokens, child);
      }
      added ||= !child.slots.has(slot) || own.get(blocks[i]!) !== child;
      child.slots.add(slot);
      own.set(blocks[i]!, child);
      node = child;
    }
    return added ? 'ok' : 'duplicate';
  }

  remove(slot: number, blockHashes: Uint8Array): number {
    const own = this.#own(slot);
    let unknown = 0;
    for (const hash of words(blockHashes)) {
      const node = own.get(hash);
      if (!node) unknown++;
      node?.slots.delete(slot);
      own.delete(hash);
    }
    return unknown;
  }

  clear(slot: number): void {
    for (const node of this.#own(slot).values()) node.slots.delete(slot);
    this.#bySlot.delete(slot);
  }

  find(blockHashes: Uint8Array): Uint32Array {
    const depths = new Uint32Array(Math.max(0, ...this.#bySlot.keys()) + 1);
    for (const slot of this.#bySlot.keys()) {
      let node: Node | undefined = this.#root;
      for (const hash of words(blockHashes)) {
        node = node.children.get(hash);
        if (!node?.slots.has(slot)) break;
        depths[slot]!++;
      }
    }
    return depths;
  }

  slotBlocks(slot: number): number {
    return this.#own(slot).size;
  }

  get blocks(): number {
    return new Set([...this.#bySlot.values()].flatMap((own) => [...own.values()])).size;
  }

  get bytes(): number {
    return this.blocks * 100;
  }

  free(): void {
    this.#bySlot.clear();
  }

  #own(slot: number): Map<bigint, Node> {
    const own = this.#bySlot.get(slot) ?? new Map<bigint, Node>();
    this.#bySlot.set(slot, own);
    return own;
  }
}

export class NaiveBlocksInFlight implements BlocksInFlight {
  readonly #requests = new Map<number, { slot: number; paths: string[]; output: number }>();

  add(request: number, slot: number, blockHashes: Uint8Array): void {
    this.#requests.set(request, { slot, paths: paths(blockHashes), output: 0 });
  }

  grow(request: number, count: number): void {
    const entry = this.#requests.get(request);
    if (entry) entry.output += count;
  }

  remove(request: number): void {
    this.#requests.delete(request);
  }

  shared(blockHashes: Uint8Array): Uint32Array {
    const slots = [...this.#requests.values()].map(({ slot }) => slot);
    const depths = new Uint32Array(Math.max(0, ...slots) + 1);
    for (const slot of new Set(slots)) {
      const active = this.#active(slot);
      for (const path of paths(blockHashes)) {
        if (!active.has(path)) break;
        depths[slot]!++;
      }
    }
    return depths;
  }

  active(slot: number): number {
    const outputs = [...this.#requests.values()].filter((entry) => entry.slot === slot);
    return this.#active(slot).size + outputs.reduce((total, { output }) => total + output, 0);
  }

  free(): void {
    this.#requests.clear();
  }

  #active(slot: number): Set<string> {
    const mine = [...this.#requests.values()].filter((entry) => entry.slot === slot);
    return new Set(mine.flatMap((entry) => entry.paths));
  }
}

const paths = (blockHashes: Uint8Array): string[] => {
  const all = words(blockHashes);
  return all.map((_, i) => all.slice(0, i + 1).join());
};

export const naiveIndexes: Indexes = {
  prefixIndex: () => new NaivePrefixIndex(),
  blocksInFlight: () => new NaiveBlocksInFlight(),
};
