// Grammars over a token vocabulary, as classes over stator-grammar (WebAssembly).
//
// Why: constrained decoding asks before each token which ids may come next. The mask stays in wasm memory and is read through a
// view, so that nothing is copied per token.
//
// Invariants: `initGrammar` runs before anything else. A view is valid until the next call of any method. Bad grammars are an Error;
// a `WebAssembly.RuntimeError` means that the instance is broken (a grammar nested beyond the stack): call
// `resetGrammar`, after which every object made before is dead and must not be used, nor freed.

import type { InitOutput } from './pkg/grammar/stator_grammar.js';
import {
  initSync as init,
  __wbg_reset_state as replaceInstance,
  type Answer as WasmAnswer,
  Vocabulary as WasmVocabulary,
} from './pkg/grammar/stator_grammar.js';

/** Bounds on the work of one call. */
export interface GrammarLimits {
  readonly rowItems: number;
  readonly lexerFuel: number;
  readonly stepLexerFuel: number;
  readonly stepItems: number;
  readonly lexerStates: number;
  readonly grammarSize: number;
}

export interface TokenBytes {
  /** Token i is `bytes.subarray(offsets[i], offsets[i + 1])`; without bytes it is never allowed. */
  readonly offsets: Uint32Array;
  readonly bytes: Uint8Array;
  /** Ids that end an answer; at least one. */
  readonly ends: Uint32Array;
}

let output: InitOutput | undefined;

/** Makes everything here usable, from a compiled module or its bytes. Idempotent. */
export function initGrammar(module: WebAssembly.Module | Uint8Array<ArrayBuffer>): void {
  output = init({ module });
}

/** A fresh instance; what was made by the one before is dead. */
export function resetGrammar(): void {
  replaceInstance();
  output = init({ module: new Uint8Array() });
}

/** Bytes that the instance holds; they never become fewer but by a reset. */
export function grammarMemoryBytes(): number {
  return buffer().byteLength;
}

function buffer(): ArrayBufferLike {
  if (output === undefined) throw new Error('initGrammar must be called first');
  return output.memory.buffer;
}

export class GrammarVocabulary {
  readonly #core: WasmVocabulary;

  constructor(tokens: TokenBytes, limits: GrammarLimits) {
    buffer();
    const { rowItems, lexerFuel, stepLexerFuel, stepItems, lexerStates, grammarSize } = limits;
    const bounds = Uint32Array.of(rowItems, lexerFuel, stepLexerFuel, stepItems, lexerStates, grammarSize);
    this.#core = new WasmVocabulary(tokens.offsets, tokens.bytes, tokens.ends, bounds);
  }

  /** An answer that has not begun, from llguidance's JSON. Throws an Error that says what is wrong with the grammar. */
  compile(grammars: string): GrammarAnswer {
    return new GrammarAnswer(this.#core.compile(grammars));
  }
}

/** How far one answer has come. */
export class GrammarAnswer {
  readonly #core: WasmAnswer;

  constructor(core: WasmAnswer) {
    this.#core = core;
  }

  fork(): GrammarAnswer {
    return new GrammarAnswer(this.#core.fork());
  }

  /** Bit i: token i may come next. A view. */
  mask(): Uint32Array {
    const offset = this.#core.mask();
    return new Uint32Array(buffer(), offset, this.#core.words());
  }

  /** Adds a token; true when nothing can follow it. */
  push(id: number): boolean {
    return this.#core.push(id);
  }

  free(): void {
    this.#core.free();
  }
}
