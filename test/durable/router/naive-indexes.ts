/** The indexes as anybody would write them first: what the wasm ones must agree with, and what tests of the core use. */

import {
  type BlocksInFlight,
  type Indexes,
  type PrefixIndex,
  type PrefixMatch,
  type StoreStatus,
  TIER,
  type Tier,
} from '../../../durable/router/blocks.ts';

interface Node {
  children: Map<bigint, Node>;
  /** Keys of who has it. */
  keys: Set<number>;
}

const TIERS = Object.values(TIER);
/** A slot's blocks of one tier. */
const keyOf = (slot: number, tier: Tier): number => slot * TIERS.length + tier;

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
  readonly #root: Node = { children: new Map(), keys: new Set() };
  readonly #byKey = new Map<number, Map<bigint, Node>>();

  store(
    slot: number,
    tier: Tier,
    parent: Uint8Array,
    blockHashes: Uint8Array,
    tokensHashes: Uint8Array,
  ): StoreStatus {
    const key = keyOf(slot, tier);
    const own = this.#own(key);
    const blocks = words(blockHashes);
    let node = parent.length === 0 ? this.#root : this.#parent(slot, tier, words(parent)[0]!);
    if (!node) return 'parent_block_not_found';
    if (parent.length > 0 && blocks.includes(words(parent)[0]!)) return 'invalid_block';
    let added = false;
    for (const [i, tokens] of words(tokensHashes).entries()) {
      let child: Node | undefined = node.children.get(tokens);
      if (!child) {
        child = { children: new Map(), keys: new Set() };
        node.children.set(tokens, child);
      }
      added ||= !child.keys.has(key) || own.get(blocks[i]!) !== child;
      child.keys.add(key);
      own.set(blocks[i]!, child);
      node = child;
    }
    return added ? 'ok' : 'duplicate';
  }

  remove(slot: number, tier: Tier, blockHashes: Uint8Array): number {
    const key = keyOf(slot, tier);
    const own = this.#own(key);
    let unknown = 0;
    for (const hash of words(blockHashes)) {
      const node = own.get(hash);
      if (!node) unknown++;
      node?.keys.delete(key);
      own.delete(hash);
    }
    return unknown;
  }

  sweep(): boolean {
    return false;
  }

  clear(slot: number, tier?: Tier): void {
    for (const one of tier === undefined ? TIERS : [tier]) {
      const key = keyOf(slot, one);
      for (const node of this.#own(key).values()) node.keys.delete(key);
      this.#byKey.delete(key);
    }
  }

  find(blockHashes: Uint8Array): PrefixMatch {
    const slots = Math.floor(Math.max(0, ...this.#byKey.keys()) / TIERS.length) + 1;
    const depths = TIERS.map(() => new Uint32Array(slots));
    const path: Node[] = [];
    for (const hash of words(blockHashes)) {
      const next: Node | undefined = (path.at(-1) ?? this.#root).children.get(hash);
      if (!next) break;
      path.push(next);
    }
    for (let slot = 0; slot < slots; slot++) {
      let at = 0;
      for (const tier of TIERS) {
        const start = at;
        while (path[at]?.keys.has(keyOf(slot, tier))) at++;
        depths[tier]![slot] = at - start;
      }
    }
    const [device, host, disk, external] = depths;
    return { device: device!, host: host!, disk: disk!, external: external! };
  }

  slotBlocks(slot: number): number {
    return this.#own(keyOf(slot, TIER.device)).size;
  }

  get blocks(): number {
    return new Set([...this.#byKey.values()].flatMap((own) => [...own.values()])).size;
  }

  get bytes(): number {
    return this.blocks * 100;
  }

  free(): void {
    this.#byKey.clear();
  }

  #parent(slot: number, tier: Tier, hash: bigint): Node | undefined {
    const found = [tier, ...TIERS].map((one) => this.#byKey.get(keyOf(slot, one))?.get(hash));
    return found.find((node) => node !== undefined);
  }

  #own(key: number): Map<bigint, Node> {
    const own = this.#byKey.get(key) ?? new Map<bigint, Node>();
    this.#byKey.set(key, own);
    return own;
  }
}

export class NaiveBlocksInFlight implements BlocksInFlight {
  readonly #requests = new Map<number, { slot: number; paths: string[]; output: number }>();

  add(request: number, slot: number, blockHashes: Uint8Array, salt: number): void {
    const salted = paths(blockHashes).map((path) => (salt === 0 ? path : `${salt}:${path}`));
    this.#requests.set(request, { slot, paths: salted, output: 0 });
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
