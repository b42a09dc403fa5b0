// The radix index and the in-flight sequences, as classes over stator-radix (WebAssembly).
//
// Why: the crate speaks in byte offsets; here hashes are byte arrays as they arrive in protobuf `bytes`: little-endian
// 64-bit words, packed. They are copied into wasm memory with one `set()`, never turned into bigints.
//
// Invariants: `initRadix` runs before any constructor. A result view (`Matches`, `DumpPiece.words`) is valid until the next call
// of any method of the same module; copy what must live longer. Environment neutral: the loaders in load/ bring the module.
// Memory is freed by `free()` (or `using`), never by the collector alone.

import type { InitOutput } from './pkg/radix/stator_radix.js';
import {
  initSync as init,
  RadixIndex as WasmIndex,
  ActiveSequences as WasmSequences,
} from './pkg/radix/stator_radix.js';

/** What became of a store. */
export const storeStatus = { stored: 0, duplicate: 1, parentNotFound: 2, invalid: 3 } as const;
export type StoreStatus = (typeof storeStatus)[keyof typeof storeStatus];

/** Slots are below this. */
export const maxSlots = 16_384;
/** The most 64-bit words that one call may bring (wasm/radix/src/lib.rs). */
export const maxWords = 4_194_304;
/** The cursor after the last piece of a dump. */
export const dumpDone = 0xffff_ffff;

export interface StoreEvent {
  /** The external hash (8 bytes) of the block that these follow; absent at the root. */
  readonly parentHash?: Uint8Array | null | undefined;
  /** External hashes, 8 bytes each. */
  readonly blockHashes: Uint8Array;
  /** Local (tokens) hashes, as many. */
  readonly tokensHashes: Uint8Array;
}

/** Which slots have how much of a prompt. Views, valid until the next call; longer than their contents. */
export interface Matches {
  readonly count: number;
  /** Slot and depth in turn: `pairs[2 * i]`, `pairs[2 * i + 1]`. */
  readonly pairs: Uint32Array;
}

/** With what the lower tiers add, each from where the tier before it ended. */
export interface TierMatches extends Matches {
  readonly lowerCount: number;
  /** Slot, tier and blocks in turn. */
  readonly lower: Uint32Array;
}

export interface DumpOptions {
  readonly tier?: number;
  /** 0 for the first piece, then what the last piece said. */
  readonly cursor: number;
  readonly maxBlocks: number;
}

export interface DumpPiece {
  /** Stores that rebuild the slot, for `load` or `dumpEvents`. A view, valid until the next call. */
  readonly words: Uint8Array;
  /** Where to go on; `dumpDone` after the last piece. */
  readonly cursor: number;
}

let memory: WebAssembly.Memory | undefined;
/** All of wasm memory; detached, and then taken again, when the memory has grown. */
let heap: Uint8Array = new Uint8Array(0);

/** Makes the classes usable, from a compiled module or its bytes. Idempotent. */
export function initRadix(module: WebAssembly.Module | Uint8Array<ArrayBuffer>): void {
  const output: InitOutput = init({ module });
  memory ??= output.memory;
}

export function radixReady(): boolean {
  return memory !== undefined;
}

function buffer(): ArrayBufferLike {
  if (memory === undefined) throw new Error('initRadix must be called first');
  return memory.buffer;
}

/** Refuses what has no room in the scratch buffer, before anything is written. Returns the number of words. */
function count(bytes: Uint8Array): number {
  const n = bytes.length >>> 3;
  if (n > maxWords) throw new RangeError(`${n} hashes in one call; the limit is ${maxWords}`);
  return n;
}

function put(offset: number, bytes: Uint8Array): void {
  if (heap.length === 0) heap = new Uint8Array(buffer());
  heap.set(bytes, offset);
}

/** Without an incomplete last word. */
function whole(bytes: Uint8Array): Uint8Array {
  return (bytes.length & 7) === 0 ? bytes : bytes.subarray(0, bytes.length & ~7);
}

function matches(offset: number, count: number): Matches {
  return { count, pairs: new Uint32Array(buffer(), offset, 2 * count) };
}

const NONE = new Uint32Array(0);

/**
 * Which slot holds which prefix in which tier (semantics §3.2); a tier is a StorageTier, 0 the device. Exact; bounded by a
 * byte budget. What `clear` ends is gone for every answer at once; its memory is freed in steps by later changes.
 */
export class RadixIndex {
  readonly #core: WasmIndex;
  /** Where input goes and for how many words there is room: it moves only when it grows. */
  #input = 0;
  #room = 0;
  /** The output of `find`, as far as it was seen; it moves only when it grows. */
  #pairs: Uint32Array = NONE;
  #hasLower = false;

  constructor(options: { readonly capacityBytes: number }) {
    buffer();
    this.#core = new WasmIndex(options.capacityBytes);
  }

  /** `slot` now holds these blocks. A hash list whose length is not a multiple of 8, unequal lists, or too many are invalid. */
  store(slot: number, event: StoreEvent, tier = 0): StoreStatus {
    const { parentHash, blockHashes, tokensHashes } = event;
    const n = blockHashes.length >>> 3;
    const parents = parentHash == null ? 0 : 1;
    if (blockHashes.length !== tokensHashes.length || (blockHashes.length & 7) !== 0) {
      return storeStatus.invalid;
    }
    if (2 * n + parents > maxWords) return storeStatus.invalid;
    if (parentHash != null && parentHash.length !== 8) return storeStatus.invalid;
    const offset = this.#inputFor(2 * n + parents);
    put(offset + 8 * parents, blockHashes);
    put(offset + 8 * (parents + n), tokensHashes);
    // A call of `set` costs more than eight bytes do.
    if (parentHash != null) for (let i = 0; i < 8; i += 1) heap[offset + i] = parentHash[i]!;
    this.#hasLower ||= tier !== 0;
    return this.#core.store(slot, tier, parents === 1, n) as StoreStatus;
  }

  /** `slot` no longer holds these in that tier. Returns how many it did not hold. */
  remove(slot: number, blockHashes: Uint8Array, tier = 0): number {
    const n = count(blockHashes);
    put(this.#inputFor(n), whole(blockHashes));
    return this.#core.remove(slot, tier, n);
  }

  /** Ends all that a slot holds, or what it holds in one tier. */
  clear(slot: number, tier?: number): void {
    if (tier === undefined) this.#core.clear(slot);
    else this.#core.clear_tier(slot, tier);
  }

  /** A step of freeing what was cleared; each change does one too. Returns whether there is more to do. */
  sweep(): boolean {
    return this.#core.sweep();
  }

  /** Every slot that holds the first of these local hashes on its device, and how many leading ones without a gap. */
  find(tokensHashes: Uint8Array): TierMatches {
    const n = count(tokensHashes);
    put(this.#inputFor(n), whole(tokensHashes));
    const found = this.#core.find(n);
    if (this.#pairs.length < 2 * found) {
      this.#pairs = new Uint32Array(buffer(), this.#core.output(), 2 * found);
    }
    if (!this.#hasLower) return { count: found, pairs: this.#pairs, lowerCount: 0, lower: NONE };
    const lowerCount = this.#core.lower();
    const lower = new Uint32Array(buffer(), this.#core.lower_output(), 3 * lowerCount);
    return { count: found, pairs: this.#pairs, lowerCount, lower };
  }

  /** A piece of what rebuilds a slot's tier. One dump at a time per index; cursor 0 starts anew. */
  dump(slot: number, options: DumpOptions): DumpPiece {
    const { tier = 0, cursor, maxBlocks } = options;
    const words = this.#core.dump(slot, tier, cursor, maxBlocks);
    this.#room = 0;
    const next = this.#core.dump_cursor();
    return { words: new Uint8Array(buffer(), this.#core.input(0), words * 8), cursor: next };
  }

  /** Stores a piece of a dump; tiers in order, the device first. Returns the number of blocks accepted. */
  load(slot: number, words: Uint8Array, tier = 0): number {
    const n = count(words);
    put(this.#inputFor(n), whole(words));
    this.#hasLower ||= tier !== 0;
    return this.#core.load(slot, tier, n);
  }

  /** Blocks that at least one slot holds in at least one tier. */
  get blocks(): number {
    return this.#core.blocks();
  }

  slotBlocks(slot: number, tier = 0): number {
    return this.#core.slot_blocks(slot, tier);
  }

  /** Bytes allocated for the index. */
  get bytes(): number {
    return this.#core.bytes();
  }

  /** Blocks evicted for the budget so far. */
  get evicted(): number {
    return this.#core.evicted();
  }

  #inputFor(words: number): number {
    if (words > this.#room) {
      this.#input = this.#core.input(words);
      this.#room = words;
    }
    return this.#input;
  }

  free(): void {
    this.#core.free();
  }

  [Symbol.dispose](): void {
    this.#core.free();
  }
}

/** What is in flight (semantics §1.5). Request ids are the caller's small integers. */
export class ActiveSequences {
  readonly #core: WasmSequences;

  constructor() {
    buffer();
    this.#core = new WasmSequences();
  }

  /**
   * A request with these local hashes starts on a slot. Returns its newly active blocks, or undefined when the request is
   * known already (nothing changes). A salt other than 0 shares nothing with anyone else.
   */
  add(request: number, slot: number, localHashes: Uint8Array, salt = 0): number | undefined {
    const n = count(localHashes);
    put(this.#core.input(n), whole(localHashes));
    const added = this.#core.add(request, slot, n, salt);
    return added === 0xffff_ffff ? undefined : added;
  }

  /** How many leading blocks of a prompt are active on each slot that has the first. */
  potential(localHashes: Uint8Array): Matches {
    const n = count(localHashes);
    put(this.#core.input(n), whole(localHashes));
    const found = this.#core.potential(n);
    return matches(this.#core.output(), found);
  }

  /** Adds private output blocks. False when the request is unknown. */
  grow(request: number, blocks: number): boolean {
    return this.#core.grow(request, blocks);
  }

  /** Ends a request. False when it is unknown. */
  end(request: number): boolean {
    return this.#core.free_request(request);
  }

  /** Ends all requests of a slot. Returns how many. */
  dropSlot(slot: number): number {
    return this.#core.drop_slot(slot);
  }

  /** Distinct prompt blocks and private output blocks on a slot. */
  activeBlocks(slot: number): number {
    return this.#core.active_blocks(slot);
  }

  get requests(): number {
    return this.#core.requests();
  }

  free(): void {
    this.#core.free();
  }

  [Symbol.dispose](): void {
    this.#core.free();
  }
}

/** The stores in a piece of a dump, parents first. The arrays are views on `words`. */
export function* dumpEvents(words: Uint8Array): Generator<StoreEvent & { parentHash: Uint8Array | null }> {
  const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  let at = 0;
  while (at + 8 <= words.length) {
    const bytes = view.getUint32(at, true) * 8;
    const parents = view.getUint32(at + 4, true) * 8;
    const blocks = at + 8 + parents;
    if (bytes === 0 || parents > 8 || blocks + 2 * bytes > words.length) throw new Error('malformed dump');
    yield {
      parentHash: parents === 0 ? null : words.subarray(at + 8, blocks),
      blockHashes: words.subarray(blocks, blocks + bytes),
      tokensHashes: words.subarray(blocks + bytes, blocks + 2 * bytes),
    };
    at = blocks + 2 * bytes;
  }
}
