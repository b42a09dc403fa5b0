/* tslint:disable */
/* eslint-disable */

/**
 * A prompt's tokens and the hashes of its blocks.
 */
export class BlockHasher {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Hashes the blocks of the first `n` ids, with the first `objects` (block, hash) pairs. Returns the number of blocks.
     */
    hash(n: number, block_size: number, seed: bigint, eagle: boolean, objects: number): number;
    /**
     * KVBM's framed block hashes, with the first `runs` (offset, length, hash) triples. Returns the number of blocks.
     */
    hash_framed(n: number, block_size: number, seed: bigint, runs: number): number;
    /**
     * Byte offset of the local hashes (u64).
     */
    hashes(): number;
    /**
     * Byte offset of the token ids (u32).
     */
    ids(): number;
    /**
     * Byte offset of room for `n` token ids (u32).
     */
    ids_input(n: number): number;
    /**
     * Returns the byte offset of the positional lineage hashes (16 bytes each, big-endian); all zero past 2^24 blocks.
     */
    lineages(): number;
    constructor();
    /**
     * Byte offset of room for `n` u64 words: (block, hash) pairs of multimodal objects, or (offset, length, hash) runs.
     */
    objects_input(n: number): number;
    /**
     * Chains the local hashes. Returns the byte offset of the sequence hashes (u64).
     */
    sequences(): number;
}

/**
 * A tokenizer.json and the buffers of one prompt at a time.
 */
export class Tokenizer {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The number of complete blocks of the last prompt.
     */
    blocks(): number;
    /**
     * The same for a text with guards, see tokenizer.rs; `guard` is a code point.
     */
    encode_guarded(n: number, guard: number, add_special: boolean, block_size: number, seed: bigint, eagle: boolean): number;
    /**
     * Encodes the first `n` bytes and hashes the blocks. Returns the number of tokens.
     */
    encode_hash(n: number, add_special: boolean, block_size: number, seed: bigint, eagle: boolean): number;
    hash(n: number, block_size: number, seed: bigint, eagle: boolean, objects: number): number;
    hashes(): number;
    ids(): number;
    ids_input(n: number): number;
    is_special(id: number): boolean;
    /**
     * Reads the text of a tokenizer.json (version 1.0 or 2.0). Throws when it is broken or of an unsupported kind.
     */
    constructor(json: string);
    objects_input(n: number): number;
    sequences(): number;
    special_ids(): Uint32Array;
    special_tokens(): string[];
    strips_first_space(): boolean;
    /**
     * Byte offset of room for `n` bytes of UTF-8.
     */
    text_input(n: number): number;
    /**
     * The raw bytes that a token stands for; undefined for an id without a token.
     */
    token_bytes(id: number): Uint8Array | undefined;
    /**
     * The id of an added token (control tokens among them) by its content.
     */
    token_id(content: string): number | undefined;
    /**
     * All tokens' bytes: u32 count, count + 1 u32 offsets into the bytes that follow.
     */
    token_table(): Uint8Array;
    vocab_size(): number;
}

/**
 * The hash of a multimodal object's identifier; undefined for an empty one.
 */
export function object_hash(identifier: string): bigint | undefined;

/**
 * The seed of semantics §2.1; empty strings mean none.
 */
export function seed(lora: string, namespace: string): bigint;

/**
 * XXH3-64 of a byte string.
 */
export function xxh3(bytes: Uint8Array | number[], seed: bigint): bigint;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_blockhasher_free: (a: number, b: number) => void;
    readonly __wbg_tokenizer_free: (a: number, b: number) => void;
    readonly blockhasher_hash: (a: number, b: number, c: number, d: bigint, e: number, f: number) => number;
    readonly blockhasher_hash_framed: (a: number, b: number, c: number, d: bigint, e: number) => number;
    readonly blockhasher_hashes: (a: number) => number;
    readonly blockhasher_ids: (a: number) => number;
    readonly blockhasher_ids_input: (a: number, b: number) => number;
    readonly blockhasher_lineages: (a: number) => number;
    readonly blockhasher_new: () => number;
    readonly blockhasher_objects_input: (a: number, b: number) => number;
    readonly blockhasher_sequences: (a: number) => number;
    readonly object_hash: (a: number, b: number) => [number, bigint];
    readonly seed: (a: number, b: number, c: number, d: number) => bigint;
    readonly tokenizer_blocks: (a: number) => number;
    readonly tokenizer_encode_guarded: (a: number, b: number, c: number, d: number, e: number, f: bigint, g: number) => [number, number, number];
    readonly tokenizer_encode_hash: (a: number, b: number, c: number, d: number, e: bigint, f: number) => [number, number, number];
    readonly tokenizer_hash: (a: number, b: number, c: number, d: bigint, e: number, f: number) => number;
    readonly tokenizer_hashes: (a: number) => number;
    readonly tokenizer_ids: (a: number) => number;
    readonly tokenizer_ids_input: (a: number, b: number) => number;
    readonly tokenizer_is_special: (a: number, b: number) => number;
    readonly tokenizer_new: (a: number, b: number) => [number, number, number];
    readonly tokenizer_objects_input: (a: number, b: number) => number;
    readonly tokenizer_sequences: (a: number) => number;
    readonly tokenizer_special_ids: (a: number) => [number, number];
    readonly tokenizer_special_tokens: (a: number) => [number, number];
    readonly tokenizer_strips_first_space: (a: number) => number;
    readonly tokenizer_text_input: (a: number, b: number) => number;
    readonly tokenizer_token_bytes: (a: number, b: number) => [number, number];
    readonly tokenizer_token_id: (a: number, b: number, c: number) => number;
    readonly tokenizer_token_table: (a: number) => [number, number];
    readonly tokenizer_vocab_size: (a: number) => number;
    readonly xxh3: (a: number, b: number, c: bigint) => bigint;
    readonly __wbindgen_exn_store: (a: number) => void;
    readonly __externref_table_alloc: () => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __externref_table_dealloc: (a: number) => void;
    readonly __externref_drop_slice: (a: number, b: number) => void;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
