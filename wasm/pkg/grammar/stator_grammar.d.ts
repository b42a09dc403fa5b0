/* tslint:disable */
/* eslint-disable */

/**
 * How far an answer has come in its grammar.
 */
export class Answer {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Another answer that has come as far; what the lexer has learnt is shared.
     */
    fork(): Answer;
    /**
     * Byte offset of a bit for each token: may it come next? An answer that is complete allows nothing but its end.
     */
    mask(): number;
    /**
     * Adds a token. True when nothing can follow any more. Fails on a token that is not allowed here.
     */
    push(token: number): boolean;
    /**
     * 32-bit words of the mask.
     */
    words(): number;
}

/**
 * The tokens that grammars are matched against.
 */
export class Vocabulary {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * An answer that has not begun. `grammars` is llguidance's JSON: `{"grammars": [{"lark_grammar": …}, {"name", "json_schema"}]}`.
     * Grammars that allow no first token are an error, too.
     */
    compile(grammars: string): Answer;
    /**
     * Token i has the bytes `bytes[offsets[i]..offsets[i + 1]]`; one without bytes is never allowed, but for `ends`, which are
     * allowed where the answer may end. `limits`: Earley items in a row, fuel to build the lexer, lexer fuel and Earley items of a
     * step, lexer states, grammar size.
     */
    constructor(offsets: Uint32Array | number[], bytes: Uint8Array | number[], ends: Uint32Array | number[], limits: Uint32Array | number[]);
}

export function __wbg_reset_state(): void;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_answer_free: (a: number, b: number) => void;
    readonly __wbg_vocabulary_free: (a: number, b: number) => void;
    readonly answer_fork: (a: number) => number;
    readonly answer_mask: (a: number) => [number, number, number];
    readonly answer_push: (a: number, b: number) => [number, number, number];
    readonly answer_words: (a: number) => number;
    readonly vocabulary_compile: (a: number, b: number, c: number) => [number, number, number];
    readonly vocabulary_new: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => [number, number, number];
    readonly llg_cancel: (a: number) => void;
    readonly llg_clone_cancellation_handle: (a: number) => number;
    readonly llg_clone_constraint: (a: number) => number;
    readonly llg_clone_matcher: (a: number) => number;
    readonly llg_clone_stop_controller: (a: number) => number;
    readonly llg_commit_token: (a: number, b: number, c: number) => number;
    readonly llg_compute_mask: (a: number, b: number) => number;
    readonly llg_constraint_init_set_defaults: (a: number, b: number) => void;
    readonly llg_decode_tokens: (a: number, b: number, c: number, d: number, e: number, f: number) => number;
    readonly llg_flush_logs: (a: number) => number;
    readonly llg_free_cancellation_handle: (a: number) => void;
    readonly llg_free_constraint: (a: number) => void;
    readonly llg_free_matcher: (a: number) => void;
    readonly llg_free_stop_controller: (a: number) => void;
    readonly llg_free_tokenizer: (a: number) => void;
    readonly llg_get_error: (a: number) => number;
    readonly llg_get_temperature: (a: number) => number;
    readonly llg_get_version: () => number;
    readonly llg_is_stopped: (a: number) => number;
    readonly llg_matcher_compute_ff_tokens: (a: number, b: number, c: number) => number;
    readonly llg_matcher_compute_mask: (a: number) => number;
    readonly llg_matcher_compute_mask_into: (a: number, b: number, c: number) => number;
    readonly llg_matcher_consume_token: (a: number, b: number) => number;
    readonly llg_matcher_consume_tokens: (a: number, b: number, c: number) => number;
    readonly llg_matcher_get_cancellation_handle: (a: number) => number;
    readonly llg_matcher_get_error: (a: number) => number;
    readonly llg_matcher_get_mask: (a: number) => number;
    readonly llg_matcher_get_mask_byte_size: (a: number) => number;
    readonly llg_matcher_is_accepting: (a: number) => number;
    readonly llg_matcher_is_cancelled: (a: number) => number;
    readonly llg_matcher_is_error: (a: number) => number;
    readonly llg_matcher_is_stopped: (a: number) => number;
    readonly llg_matcher_reset: (a: number) => number;
    readonly llg_matcher_rollback: (a: number, b: number) => number;
    readonly llg_matcher_validate_tokens: (a: number, b: number, c: number) => number;
    readonly llg_new_constraint: (a: number, b: number) => number;
    readonly llg_new_constraint_any: (a: number, b: number, c: number) => number;
    readonly llg_new_constraint_json: (a: number, b: number) => number;
    readonly llg_new_constraint_lark: (a: number, b: number) => number;
    readonly llg_new_constraint_regex: (a: number, b: number) => number;
    readonly llg_new_matcher: (a: number, b: number, c: number) => number;
    readonly llg_new_stop_controller: (a: number, b: number, c: number, d: number, e: number, f: number) => number;
    readonly llg_new_tokenizer: (a: number, b: number, c: number) => number;
    readonly llg_new_tokenizer_v2: (a: number, b: number, c: number) => number;
    readonly llg_par_compute_mask: (a: number, b: number, c: number, d: number) => void;
    readonly llg_stop_commit_token: (a: number, b: number, c: number, d: number) => number;
    readonly llg_stringify_tokens: (a: number, b: number, c: number, d: number, e: number) => number;
    readonly llg_tokenize_bytes: (a: number, b: number, c: number, d: number, e: number) => number;
    readonly llg_tokenize_bytes_marker: (a: number, b: number, c: number, d: number, e: number) => number;
    readonly llg_validate_grammar: (a: number, b: number, c: number, d: number, e: number) => number;
    readonly llg_clone_tokenizer: (a: number) => number;
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __wbindgen_exn_store: (a: number) => void;
    readonly __externref_table_alloc: () => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __externref_table_dealloc: (a: number) => void;
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
