/**
 * What an answer must look like, as an engine sees it: before each token, which ids may come next.
 *
 * A constraint is a pure function of the grammar and the tokens so far, so a continued answer is held to it like any other: `begin`
 * takes the tokens that were sent already.
 */

/** A grammar, compiled for one vocabulary. */
export interface Constraint {
  /** An answer with these tokens. Throws StatorError `invalid_request` when they do not obey. */
  begin(tokens: Uint32Array): ConstrainedAnswer;
}

/** How far one answer has come. Methods throw StatorError `engine_error` when the grammar costs more than its limits. */
export interface ConstrainedAnswer {
  /** Nothing can follow: the answer ends here, by itself. */
  readonly complete: boolean;
  /** Bit i: token i may come next; ids that end the answer included. A view, valid until the next call of any constraint. */
  allowed(): Uint32Array;
  /** Adds a token, one that was allowed. */
  push(id: number): void;
  free(): void;
}

export interface GrammarCompiler {
  /** Why `compile` is not to be tried, found out elsewhere; null: it is harmless. Throws StatorError `overloaded`. */
  check(grammars: string): Promise<string | null>;
  /** `grammars`: llguidance's JSON (`response/grammar/`). Throws an Error that says what is wrong with them. */
  compile(grammars: string): Constraint;
}

/** The number of allowed ids. */
export function countAllowed(allowed: Uint32Array): number {
  let count = 0;
  for (const word of allowed) count += ones(word);
  return count;
}

/** The allowed id that has `place` others before it. */
export function allowedAt(allowed: Uint32Array, place: number): number {
  let before = 0;
  for (let word = 0; word < allowed.length; word++) {
    let bits = allowed[word]!;
    const count = ones(bits);
    if (before + count <= place) {
      before += count;
      continue;
    }
    for (; before < place; before++) bits &= bits - 1;
    return word * 32 + 31 - Math.clz32(bits & -bits);
  }
  throw new RangeError(`there are ${before} allowed tokens`);
}

export const isAllowed = (allowed: Uint32Array, id: number): boolean =>
  ((allowed[id >>> 5]! >>> (id & 31)) & 1) === 1;

function ones(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
