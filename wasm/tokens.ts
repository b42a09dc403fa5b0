// Tokenizers and block hashes, as classes over stator-tokens (WebAssembly).
//
// Why: text goes in with `encodeInto`, ids and hashes come out as views on wasm memory, so a prompt of 4,000 tokens is encoded
// and hashed in under a millisecond without a string or a bigint per token.
//
// Invariants: `initTokens` runs before anything else. Views (`Prompt`) are valid until the next call of any method of the
// same module; copy what must live longer (`.slice()`). Hashes are packed little-endian 64-bit words. Bad input is an Error.
// In workerd construct a `Tokenizer` inside a handler, not at module scope (it traps there).

import type { InitOutput } from './pkg/tokens/stator_tokens.js';
import {
  initSync as init,
  object_hash,
  seed as seedOf,
  BlockHasher as WasmHasher,
  Tokenizer as WasmTokenizer,
  xxh3 as xxh3Of,
} from './pkg/tokens/stator_tokens.js';

export interface BlockOptions {
  /** Tokens a block. */
  readonly blockSize: number;
  /** From `seed()`; default: no LoRA adapter, no namespace. */
  readonly seed?: bigint | undefined;
  /** Eagle draft models: windows of one token more. */
  readonly eagle?: boolean | undefined;
}

export interface EncodeOptions extends BlockOptions {
  /** Add what the tokenizer's post-processor adds (beginning of text and the like). Chat templates write it themselves. */
  readonly addSpecial?: boolean | undefined;
  /** The character that breaks up special tokens in what users wrote, see `Guard`. */
  readonly guard?: string | undefined;
}

export interface MultimodalObject {
  readonly block: number;
  readonly hash: bigint;
}

export interface PlaceholderRun {
  readonly offset: number;
  readonly length: number;
  readonly hash: bigint;
}

/** Views, valid until the next call. */
export interface Prompt {
  readonly ids: Uint32Array;
  /** Local hashes of the complete blocks, 8 bytes each. */
  readonly hashes: Uint8Array;
}

/** All tokens' bytes: token i is `bytes.subarray(offsets[i], offsets[i + 1])`. */
export interface TokenTable {
  readonly offsets: Uint32Array;
  readonly bytes: Uint8Array;
}

/** The most bytes of text, of ids or of objects that one call may bring (wasm/tokens/src/lib.rs). */
const maxBytes = 64 * 2 ** 20;
const defaultSeed = 1337n;

let memory: WebAssembly.Memory | undefined;
const utf8 = new TextEncoder();

/** Makes everything here usable, from a compiled module or its bytes. Idempotent. */
export function initTokens(module: WebAssembly.Module | Uint8Array<ArrayBuffer>): void {
  const output: InitOutput = init({ module });
  memory ??= output.memory;
}

export function tokensReady(): boolean {
  return memory !== undefined;
}

function buffer(): ArrayBufferLike {
  if (memory === undefined) throw new Error('initTokens must be called first');
  return memory.buffer;
}

/** Refuses what has no room in the scratch buffers, before anything is written. */
function mustFit(bytes: number, what: string): void {
  if (bytes > maxBytes) throw new RangeError(`${what} of ${bytes} bytes; the limit is ${maxBytes}`);
}

/** The hash seed of a LoRA adapter and a cache namespace (semantics §2.1). */
export function seed(options: {
  readonly lora?: string | undefined;
  readonly namespace?: string | undefined;
}): bigint {
  buffer();
  return BigInt.asUintN(64, seedOf(options.lora ?? '', options.namespace ?? ''));
}

/** The hash of a multimodal object's identifier; undefined for an empty one. */
export function objectHash(identifier: string): bigint | undefined {
  buffer();
  const hash = object_hash(identifier);
  return hash === undefined ? undefined : BigInt.asUintN(64, hash);
}

export function xxh3(bytes: Uint8Array, seed = 0n): bigint {
  buffer();
  return BigInt.asUintN(64, xxh3Of(bytes, seed));
}

/** What both classes share: a prompt's ids and the hashes of its blocks. */
interface Core {
  ids(): number;
  ids_input(n: number): number;
  objects_input(n: number): number;
  hashes(): number;
  hash(n: number, blockSize: number, seed: bigint, eagle: boolean, objects: number): number;
  sequences(): number;
}

function hashIds(
  core: Core,
  ids: Uint32Array | readonly number[],
  options: BlockOptions,
  objects: readonly MultimodalObject[],
): Uint8Array {
  mustFit(ids.length * 4, 'a prompt');
  mustFit(objects.length * 16, 'a list of objects');
  const offset = core.ids_input(ids.length);
  new Uint32Array(buffer(), offset, ids.length).set(ids);
  if (objects.length > 0) {
    const at = core.objects_input(2 * objects.length);
    const words = new BigUint64Array(buffer(), at, 2 * objects.length);
    words.set(objects.flatMap(({ block, hash }) => [BigInt(block), hash]));
  }
  const { blockSize, seed = defaultSeed, eagle = false } = options;
  const blocks = core.hash(ids.length, blockSize, seed, eagle, objects.length);
  return new Uint8Array(buffer(), core.hashes(), blocks * 8);
}

/** Hashes of tokens that came from elsewhere (text-mode models, sidecars). */
export class BlockHasher {
  readonly #core: WasmHasher;
  #blocks = 0;

  constructor() {
    buffer();
    this.#core = new WasmHasher();
  }

  /** Local hashes of the complete blocks. */
  hash(
    ids: Uint32Array | readonly number[],
    options: BlockOptions,
    objects: readonly MultimodalObject[] = [],
  ): Uint8Array {
    const hashes = hashIds(this.#core, ids, options, objects);
    this.#blocks = hashes.length >>> 3;
    return hashes;
  }

  /** KVBM's block hashes of a prompt with placeholder runs (semantics §2.4). */
  hashFramed(
    ids: Uint32Array | readonly number[],
    options: BlockOptions,
    runs: readonly PlaceholderRun[],
  ): Uint8Array {
    mustFit(ids.length * 4, 'a prompt');
    mustFit(runs.length * 24, 'a list of runs');
    const offset = this.#core.ids_input(ids.length);
    new Uint32Array(buffer(), offset, ids.length).set(ids);
    const at = this.#core.objects_input(3 * runs.length);
    const words = new BigUint64Array(buffer(), at, 3 * runs.length);
    words.set(runs.flatMap(({ offset, length, hash }) => [BigInt(offset), BigInt(length), hash]));
    this.#blocks = this.#core.hash_framed(
      ids.length,
      options.blockSize,
      options.seed ?? defaultSeed,
      runs.length,
    );
    return new Uint8Array(buffer(), this.#core.hashes(), this.#blocks * 8);
  }

  /** Sequence hashes of what was last hashed. */
  sequenceHashes(): Uint8Array {
    const offset = this.#core.sequences();
    return new Uint8Array(buffer(), offset, this.#blocks * 8);
  }

  /** Positional lineage hashes of what was last hashed: 16 bytes each, big-endian. */
  lineageHashes(): Uint8Array {
    const offset = this.#core.lineages();
    return new Uint8Array(buffer(), offset, this.#blocks * 16);
  }

  free(): void {
    this.#core.free();
  }

  [Symbol.dispose](): void {
    this.#core.free();
  }
}

/** A tokenizer.json. */
export class Tokenizer {
  readonly #core: WasmTokenizer;
  /** The strings of the special (control) tokens. */
  readonly specialTokens: readonly string[];
  readonly specialIds: Uint32Array;
  /** Highest id + 1. */
  readonly vocabSize: number;
  /** Whether the decoder drops one space at the very start of a text (sentencepiece). */
  readonly stripsFirstSpace: boolean;

  /** Reads the text of a tokenizer.json. Throws an Error when it is broken or its model is not supported. */
  constructor(json: string) {
    buffer();
    this.#core = new WasmTokenizer(json);
    this.specialTokens = this.#core.special_tokens();
    this.specialIds = this.#core.special_ids();
    this.vocabSize = this.#core.vocab_size();
    this.stripsFirstSpace = this.#core.strips_first_space();
  }

  /** Ids and block hashes of a text. */
  encode(text: string, options: EncodeOptions): Prompt {
    const { blockSize, seed = defaultSeed, eagle = false, addSpecial = false, guard } = options;
    const room = text.length * 3;
    mustFit(room, 'a text');
    const offset = this.#core.text_input(room);
    const { written } = utf8.encodeInto(text, new Uint8Array(buffer(), offset, room));
    const count =
      guard === undefined
        ? this.#core.encode_hash(written, addSpecial, blockSize, seed, eagle)
        : this.#core.encode_guarded(written, guard.codePointAt(0) ?? 0, addSpecial, blockSize, seed, eagle);
    return {
      ids: new Uint32Array(buffer(), this.#core.ids(), count),
      hashes: new Uint8Array(buffer(), this.#core.hashes(), this.#core.blocks() * 8),
    };
  }

  /** Local hashes of tokens that came from elsewhere. */
  hash(
    ids: Uint32Array | readonly number[],
    options: BlockOptions,
    objects: readonly MultimodalObject[] = [],
  ): Uint8Array {
    return hashIds(this.#core, ids, options, objects);
  }

  /** Sequence hashes of what was last encoded or hashed. */
  sequenceHashes(): Uint8Array {
    const offset = this.#core.sequences();
    return new Uint8Array(buffer(), offset, this.#core.blocks() * 8);
  }

  isSpecial(id: number): boolean {
    return this.#core.is_special(id);
  }

  /** The id of an added token (the special ones are among them). */
  tokenId(content: string): number | undefined {
    return this.#core.token_id(content);
  }

  /** The raw bytes that a token stands for; undefined for an id without a token. A copy. */
  tokenBytes(id: number): Uint8Array | undefined {
    return this.#core.token_bytes(id);
  }

  /** The bytes of the whole vocabulary. A copy. */
  tokenTable(): TokenTable {
    const table = this.#core.token_table();
    const count = new DataView(table.buffer, table.byteOffset).getUint32(0, true);
    const start = 4 + 4 * (count + 1);
    return { offsets: new Uint32Array(table.slice(4, start).buffer), bytes: table.subarray(start) };
  }

  free(): void {
    this.#core.free();
  }

  [Symbol.dispose](): void {
    this.#core.free();
  }
}
