/** Whatever bytes the tokens are, and wherever they are cut: the text is that of all bytes together. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Detokeniser, detokenise } from '../../../gpu-sidecar/response/detokenise.ts';
import { tokenTexts } from '../../../gpu-sidecar/response/token-texts.ts';
import { bytesOf, byteVocabulary, vocabularyOf } from '../../harness/byte-vocabulary.ts';

const whole = (bytes: Uint8Array) =>
  new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(bytes);

/** Cuts bytes at the given places (modulo what is left) into tokens of 1 byte and more. */
function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length]!;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

const lengths = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 });

function pieces(tokens: readonly Uint8Array[]): string[] {
  const detokeniser = new Detokeniser(tokenTexts(vocabularyOf(tokens), null));
  return [...tokens.map((_, id) => detokeniser.push(id)), detokeniser.flush()];
}

test('any text, cut into tokens anywhere, comes back as it was, and no piece splits a character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), lengths, (text, cuts) => {
      const out = pieces(cut(bytesOf(text), cuts));
      expect(out.join('')).toBe(text);
      for (const piece of out) expect(piece.isWellFormed()).toBe(true);
    }),
  );
});

test('any bytes at all give what decoding them at once gives', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 24 }), lengths, (bytes, cuts) => {
      expect(pieces(cut(bytes, cuts)).join('')).toBe(whole(bytes));
    }),
    { numRuns: 500 },
  );
});

test('bytes that are nearly characters give what decoding them at once gives', () => {
  const nasty = fc.constantFrom(
    0xe0,
    0x80,
    0xbf,
    0xed,
    0xa0,
    0x9f,
    0xf0,
    0x90,
    0x8f,
    0xf4,
    0xc2,
    0xc0,
    0x41,
    0xf5,
  );
  fc.assert(
    fc.property(fc.array(nasty, { maxLength: 16 }), lengths, (bytes, cuts) => {
      expect(pieces(cut(Uint8Array.from(bytes), cuts)).join('')).toBe(whole(Uint8Array.from(bytes)));
    }),
    { numRuns: 1000 },
  );
});

test('an emoji over four tokens appears with the last of them', () => {
  const detokeniser = new Detokeniser(tokenTexts(byteVocabulary, null));
  expect([0xf0, 0x9f, 0x98, 0x80].map((byte) => detokeniser.push(byte))).toEqual(['', '', '', '😀']);
  expect(detokeniser.flush()).toBe('');
});

test('half a character at the end becomes one replacement character', () => {
  const detokeniser = new Detokeniser(tokenTexts(byteVocabulary, null));
  expect(detokeniser.push(0xf0) + detokeniser.push(0x9f) + detokeniser.flush()).toBe('\ufffd');
});

test('a character stays whole when a control token stands inside it', () => {
  expect(detokenise(tokenTexts(byteVocabulary, null), Uint32Array.of(0xc3, 256, 0xa9))).toBe('é');
});
