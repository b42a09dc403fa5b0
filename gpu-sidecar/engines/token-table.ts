/**
 * The token table of a Hugging Face tokenizer.json, read by the same tokenizer that functions run, so that a file which
 * they could not read is refused here, at the start.
 */

import { Tokenizer } from '#wasm/tokens';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { Vocabulary } from './engine.ts';

export interface TokenTable extends Vocabulary {
  /** Id of a control or other added token by its text. */
  idOf(content: string): number | null;
  /** Texts of the control tokens. */
  readonly controlTokens: readonly string[];
}

const EMPTY = new Uint8Array(0);

/** Throws StatorError `invalid_request` naming the file. */
export function readTokenTable(
  bytes: Uint8Array,
  options: { path: string; eosTokens: readonly string[] },
): TokenTable {
  let tokenizer: Tokenizer;
  try {
    tokenizer = new Tokenizer(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StatorError(
      'invalid_request',
      `${options.path} is no tokenizer.json that can be used: ${reason}`,
      {
        param: 'tokenizer',
        cause,
      },
    );
  }
  const { offsets, bytes: text } = tokenizer.tokenTable();
  const control = new Set(tokenizer.specialIds);
  const controlTokens = [...tokenizer.specialTokens];
  const ids = new Map(controlTokens.map((content) => [content, tokenizer.tokenId(content) ?? null]));
  for (const content of options.eosTokens) ids.set(content, tokenizer.tokenId(content) ?? null);
  const ends = new Set(options.eosTokens.map((token) => ids.get(token)));
  tokenizer.free();
  const bytesOf = (id: number) => text.subarray(offsets[id], offsets[id + 1]);
  return {
    size: offsets.length - 1,
    tokenBytes: (id) => (control.has(id) ? EMPTY : bytesOf(id)),
    controlText: (id) => (control.has(id) ? new TextDecoder().decode(bytesOf(id)) : ''),
    isControl: (id) => control.has(id),
    isEndOfGeneration: (id) => ends.has(id),
    idOf: (content) => ids.get(content) ?? null,
    controlTokens,
  };
}
