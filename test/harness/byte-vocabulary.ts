/**
 * Vocabularies for tests of the response path: tokens are given as bytes, so that they may split characters anywhere.
 */
import type { Vocabulary } from '../../gpu-sidecar/engines/engine.ts';

/** Those without bytes are control tokens; `written`: how they are, by id. */
export function vocabularyOf(
  tokens: readonly Uint8Array[],
  written: Readonly<Record<number, string>> = {},
): Vocabulary {
  return {
    size: tokens.length,
    tokenBytes: (id) => tokens[id]!,
    isControl: (id) => tokens[id]!.length === 0,
    controlText: (id) => written[id] ?? '',
    isEndOfGeneration: () => false,
  };
}

/** Token ids are bytes; 256 is a control token. */
export const byteVocabulary: Vocabulary = vocabularyOf([
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  new Uint8Array(0),
]);

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** One token per character (UTF-16 unit pairs kept together) of the texts given. */
export const textVocabulary = (texts: readonly string[]): Vocabulary => vocabularyOf(texts.map(bytesOf));
