/* tslint:disable */
/* eslint-disable */

export class ActiveSequences {
    free(): void;
    [Symbol.dispose](): void;
    active_blocks(slot: number): number;
    /**
     * Input: local hashes. Returns the number of newly active blocks; 4294967295 when the request is known already.
     */
    add(request: number, slot: number, n: number, salt: number): number;
    drop_slot(slot: number): number;
    free_request(request: number): boolean;
    grow(request: number, blocks: number): boolean;
    /**
     * Byte offset of room for `n` words (at most 4,194,304).
     */
    input(n: number): number;
    constructor();
    /**
     * Byte offset of the result of the last `potential` (u32 pairs).
     */
    output(): number;
    /**
     * Input: local hashes. Returns the number of (slot, depth) pairs at `output()`.
     */
    potential(n: number): number;
    requests(): number;
}

export class RadixIndex {
    free(): void;
    [Symbol.dispose](): void;
    blocks(): number;
    bytes(): number;
    /**
     * All tiers of a slot.
     */
    clear(slot: number): void;
    clear_tier(slot: number, tier: number): void;
    /**
     * Writes stores of at most `max_blocks` blocks to `input(0)`, see dump.rs. Returns the number of words.
     */
    dump(slot: number, tier: number, cursor: number, max_blocks: number): number;
    /**
     * The cursor for the next piece; 4294967295 after the last.
     */
    dump_cursor(): number;
    evicted(): number;
    /**
     * Input: tokens hashes of a prompt's blocks. Returns the number of (slot, depth) pairs at `output()`.
     */
    find(n: number): number;
    /**
     * Byte offset of room for `n` words (at most 4,194,304).
     */
    input(n: number): number;
    /**
     * Input: n words of a dump. Returns the number of blocks accepted.
     */
    load(slot: number, tier: number, n: number): number;
    /**
     * How many (slot, tier, blocks) triples the last `find` left at `lower_output()`.
     */
    lower(): number;
    lower_output(): number;
    constructor(capacity_bytes: number);
    /**
     * Byte offset of the result of the last `find` (u32 pairs).
     */
    output(): number;
    /**
     * Input: block hashes. Returns how many the slot did not hold.
     */
    remove(slot: number, tier: number, n: number): number;
    slot_blocks(slot: number, tier: number): number;
    /**
     * Input `[parent block hash?] [block hash × n] [tokens hash × n]`. 0 stored, 1 duplicate, 2 parent not found, 3 invalid.
     */
    store(slot: number, tier: number, has_parent: boolean, n: number): number;
    /**
     * A step of freeing what was cleared. Returns whether there is more to do.
     */
    sweep(): boolean;
}

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_activesequences_free: (a: number, b: number) => void;
    readonly __wbg_radixindex_free: (a: number, b: number) => void;
    readonly activesequences_active_blocks: (a: number, b: number) => number;
    readonly activesequences_add: (a: number, b: number, c: number, d: number, e: number) => number;
    readonly activesequences_drop_slot: (a: number, b: number) => number;
    readonly activesequences_free_request: (a: number, b: number) => number;
    readonly activesequences_grow: (a: number, b: number, c: number) => number;
    readonly activesequences_input: (a: number, b: number) => number;
    readonly activesequences_new: () => number;
    readonly activesequences_output: (a: number) => number;
    readonly activesequences_potential: (a: number, b: number) => number;
    readonly activesequences_requests: (a: number) => number;
    readonly radixindex_blocks: (a: number) => number;
    readonly radixindex_bytes: (a: number) => number;
    readonly radixindex_clear: (a: number, b: number) => void;
    readonly radixindex_clear_tier: (a: number, b: number, c: number) => void;
    readonly radixindex_dump: (a: number, b: number, c: number, d: number, e: number) => number;
    readonly radixindex_dump_cursor: (a: number) => number;
    readonly radixindex_evicted: (a: number) => number;
    readonly radixindex_find: (a: number, b: number) => number;
    readonly radixindex_input: (a: number, b: number) => number;
    readonly radixindex_load: (a: number, b: number, c: number, d: number) => number;
    readonly radixindex_lower: (a: number) => number;
    readonly radixindex_lower_output: (a: number) => number;
    readonly radixindex_new: (a: number) => number;
    readonly radixindex_output: (a: number) => number;
    readonly radixindex_remove: (a: number, b: number, c: number, d: number) => number;
    readonly radixindex_slot_blocks: (a: number, b: number, c: number) => number;
    readonly radixindex_store: (a: number, b: number, c: number, d: number, e: number) => number;
    readonly radixindex_sweep: (a: number) => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
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
