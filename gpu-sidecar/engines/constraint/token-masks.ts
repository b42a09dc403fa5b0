/**
 * Constraints by llguidance in WebAssembly (decision 0008): one per engine, over its vocabulary.
 *
 * Compiled grammars are kept, the last used ones, and share what their lexers learn with all their answers. A grammar that nests
 * beyond the stack breaks the wasm instance: then everything starts afresh in another one, and answers under way are rebuilt
 * from their tokens when they are next asked. The same is done when an instance holds too much memory.
 */

import {
  type GrammarAnswer,
  GrammarVocabulary,
  grammarMemoryBytes,
  resetGrammar,
  type TokenBytes,
} from '#wasm/grammar';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { Vocabulary } from '../engine.ts';
import type { ConstrainedAnswer, Constraint, GrammarCompiler } from './constraint.ts';
import { grammarChecks } from './grammar-checks.ts';
import { GRAMMAR_WORK } from './grammar-work.ts';

/** Number of the wasm instance; what another one made is dead. */
let life = 0;

export class TokenMasks implements GrammarCompiler {
  readonly #vocabulary: Vocabulary;
  #tokens: TokenBytes | null = null;
  #core: { life: number; vocabulary: GrammarVocabulary; compiled: Map<string, GrammarAnswer> } | null = null;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** Reads the vocabulary, which takes up to seconds for a large one, and begins the thread: for engines that start. */
  prepare(): void {
    this.#current();
    grammarChecks.warm();
  }

  async check(grammars: string): Promise<string | null> {
    return this.#core?.compiled.has(grammars) ? null : grammarChecks.check(grammars);
  }

  compile(grammars: string): Constraint {
    this.begin(grammars).free();
    return { begin: (tokens) => new MaskedAnswer(this, grammars, tokens) };
  }

  /** An answer without tokens yet; whoever asks frees it. Throws an Error with the reason. */
  begin(grammars: string): GrammarAnswer {
    return guarded(() => {
      const { vocabulary, compiled } = this.#current();
      const known = compiled.get(grammars);
      if (known !== undefined) {
        compiled.delete(grammars);
        compiled.set(grammars, known);
        return known.fork();
      }
      const made = vocabulary.compile(grammars);
      compiled.set(grammars, made);
      if (compiled.size > LIMITS.compiledGrammars) this.forget(compiled.keys().next().value!);
      return made.fork();
    });
  }

  /** Its lexer has had enough. */
  forget(grammars: string): void {
    const known = this.#core?.compiled.get(grammars);
    if (known === undefined) return;
    this.#core!.compiled.delete(grammars);
    if (this.#core!.life === life) known.free();
  }

  #current() {
    if (grammarMemoryBytes() > LIMITS.grammarMemoryBytes) replaceInstance();
    if (this.#core?.life === life) return this.#core;
    this.#tokens ??= tokenBytes(this.#vocabulary);
    const vocabulary = new GrammarVocabulary(this.#tokens, GRAMMAR_WORK);
    this.#core = { life, vocabulary, compiled: new Map() };
    return this.#core;
  }
}

class MaskedAnswer implements ConstrainedAnswer {
  readonly #masks: TokenMasks;
  readonly #grammars: string;
  readonly #tokens: number[] = [];
  #core: GrammarAnswer;
  #life: number;
  #complete = false;

  constructor(masks: TokenMasks, grammars: string, tokens: Uint32Array) {
    this.#masks = masks;
    this.#grammars = grammars;
    this.#core = masks.begin(grammars);
    this.#life = life;
    try {
      for (const id of tokens) this.push(id);
    } catch (cause) {
      this.free();
      const reason = 'resume.token_ids: what was sent does not obey the grammar';
      throw new StatorError('invalid_request', reason, { param: 'resume.token_ids', cause });
    }
  }

  get complete(): boolean {
    return this.#complete;
  }

  allowed(): Uint32Array {
    return this.#ask((core) => core.mask());
  }

  push(id: number): void {
    this.#complete = this.#ask((core) => core.push(id));
    this.#tokens.push(id);
  }

  free(): void {
    if (this.#life === life) this.#core.free();
    this.#life = -1;
  }

  #ask<T>(question: (core: GrammarAnswer) => T): T {
    try {
      if (this.#life !== life) this.#rebuild();
      return guarded(() => question(this.#core));
    } catch (cause) {
      this.#masks.forget(this.#grammars);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new StatorError('engine_error', `The answer cannot go on under its grammar: ${reason}`, {
        cause,
      });
    }
  }

  #rebuild(): void {
    const core = this.#masks.begin(this.#grammars);
    this.#core = core;
    this.#life = life;
    guarded(() => {
      for (const id of this.#tokens) core.push(id);
    });
  }
}

/** Errors of llguidance pass; a trap replaces the instance first. */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (!(thrown instanceof WebAssembly.RuntimeError)) throw thrown;
    replaceInstance();
    throw new Error('it is nested too deeply', { cause: thrown });
  }
}

function replaceInstance(): void {
  resetGrammar();
  life++;
}

function tokenBytes(vocabulary: Vocabulary): TokenBytes {
  const { size } = vocabulary;
  const offsets = new Uint32Array(size + 1);
  const ends: number[] = [];
  for (let id = 0; id < size; id++) {
    if (vocabulary.isEndOfGeneration(id)) ends.push(id);
    offsets[id + 1] = offsets[id]! + bytesOf(vocabulary, id).length;
  }
  const bytes = new Uint8Array(offsets[size]!);
  for (let id = 0; id < size; id++) bytes.set(bytesOf(vocabulary, id), offsets[id]);
  return { offsets, bytes, ends: Uint32Array.from(ends) };
}

const NOTHING = new Uint8Array(0);

/** An end of generation is no text, whatever it looks like. */
const bytesOf = (vocabulary: Vocabulary, id: number): Uint8Array =>
  vocabulary.isEndOfGeneration(id) ? NOTHING : vocabulary.tokenBytes(id);
