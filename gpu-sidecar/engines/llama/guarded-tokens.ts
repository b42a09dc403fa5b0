/**
 * Tokens of a rendered prompt by llama.cpp's own tokenizer, for models whose tokenizer functions cannot run.
 * Control tokens of the template become control tokens; those in what users wrote were broken up with a guard character
 * (wasm/guard.ts) and stay text, without the guard.
 */

import type { LlamaModel } from './model.ts';

export function guardedTokens(
  text: string,
  options: { parseSpecial: boolean; guard: string; model: LlamaModel; controlTokens: readonly string[] },
): Uint32Array {
  const { model, guard, parseSpecial } = options;
  if (guard === '') return model.tokenizePlain(text, { parseSpecial });
  const pieces = parseSpecial ? splitAtControls(text, options.controlTokens) : [{ text, control: false }];
  const parts = pieces.map((piece) =>
    model.tokenizePlain(piece.control ? piece.text : piece.text.replaceAll(guard, ''), {
      parseSpecial: piece.control,
    }),
  );
  const all = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Cuts a text at control tokens, the longest first where several begin. */
function splitAtControls(
  text: string,
  controlTokens: readonly string[],
): { text: string; control: boolean }[] {
  const tokens = controlTokens.filter((token) => token !== '').sort((a, b) => b.length - a.length);
  if (tokens.length === 0) return text === '' ? [] : [{ text, control: false }];
  const pattern = new RegExp(
    `(${tokens.map((token) => token.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|')})`,
  );
  return text
    .split(pattern)
    .map((piece, i) => ({ text: piece, control: i % 2 === 1 }))
    .filter((piece) => piece.text !== '');
}
