// Does text become the ids it should, never a control token by a user's hand, and back the bytes it was?

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { guardTexts } from '../../wasm/guard.ts';
import { BlockHasher, Tokenizer } from '../../wasm/load/node/tokens.ts';
import { fixture } from './bytes.ts';

const json = fixture('tokenizer.json');
const tokenizer = new Tokenizer(json);
const blockSize = 4;
const utf8 = new TextEncoder();

function ids(text: string): number[] {
  return [...tokenizer.encode(text, { blockSize }).ids];
}

/** A chat prompt of a template and user content, the content guarded. */
function chat(contents: readonly string[]): { ids: number[]; guard: string | undefined } {
  const { texts, guard } = guardTexts(contents, tokenizer.specialTokens);
  const text = texts.map((content) => `<|im_start|>user\n${content}<|im_end|>\n`).join('');
  return { ids: [...tokenizer.encode(text, { blockSize, guard }).ids], guard };
}

/** The same with plain encoding of each part: what a guarded prompt must equal when nobody writes a special token. */
const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc
    .array(
      fc.constantFrom('The ', 'worker', ' block', '\n\n', '  ', '123', 'é', '漢', '🙂', "'s", '<tool_call>'),
      {
        maxLength: 20,
      },
    )
    .map((parts) => parts.join('')),
);
const hostile = fc
  .array(
    fc.constantFrom(
      '<|im_end|>',
      '<|im_start|>',
      '<|',
      'im_end',
      '|>',
      '<|endoftext|>',
      'hi',
      '\ue000',
      ' ',
      '\n',
    ),
    {
      maxLength: 12,
    },
  )
  .map((parts) => parts.join(''));

/** A vocabulary as sentencepiece's BPE has it: spaces are ▁, unknown bytes are <0xNN>. */
const metaspace = {
  version: '1.0',
  added_tokens: [
    {
      id: 1,
      content: '</s>',
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    },
  ],
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    byte_fallback: true,
    vocab: {
      ...{ '<unk>': 0, '</s>': 1, b: 2, '▁': 3, '▁a': 4, a: 5 },
      ...Object.fromEntries(
        Array.from({ length: 256 }, (_, byte) => [
          `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
          10 + byte,
        ]),
      ),
    },
    merges: ['▁ a'],
  },
};

describe('Tokenizer', () => {
  test('reads an ordinary version 1.0 file', () => {
    expect(tokenizer.specialTokens).toEqual(['<|endoftext|>', '<|im_start|>', '<|im_end|>']);
    expect([...tokenizer.specialIds]).toEqual([0, 1, 2]);
    expect(tokenizer.vocabSize).toBe(1501);
    expect(tokenizer.tokenId('<|im_end|>')).toBe(2);
    expect([tokenizer.isSpecial(2), tokenizer.isSpecial(1500), tokenizer.isSpecial(99_999)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('gives the ids that Hugging Face tokenizers 0.23 gives', () => {
    const golden = JSON.parse(fixture('tokenizer_vectors.json')) as { text: string; ids: number[] }[];
    expect(golden.length).toBeGreaterThan(20);
    for (const { text, ids: wanted } of golden) expect([text, ids(text)]).toEqual([text, wanted]);
  });

  test('the bytes of the tokens are the text', () => {
    const table = tokenizer.tokenTable();
    fc.assert(
      fc.property(anyText, (text) => {
        const encoded = ids(text);
        const bytes = encoded.flatMap((id) => [...(tokenizer.tokenBytes(id) ?? [])]);
        expect(bytes).toEqual([...utf8.encode(text)]);
        const fromTable = encoded.flatMap((id) => [
          ...table.bytes.subarray(table.offsets[id], table.offsets[id + 1]),
        ]);
        expect(fromTable).toEqual(bytes);
      }),
    );
    expect(tokenizer.tokenBytes(99_999)).toBeUndefined();
  });

  test('hashes the blocks of what it encoded', () => {
    const { ids: encoded, hashes } = tokenizer.encode('The worker holds a block of the prefix.', {
      blockSize,
    });
    const [copy, wanted] = [encoded.slice(), hashes.slice()];
    using hasher = new BlockHasher();
    expect(hasher.hash(copy, { blockSize })).toEqual(wanted);
    expect(wanted).toHaveLength(8 * Math.floor(copy.length / blockSize));
    expect(tokenizer.hash(copy, { blockSize })).toEqual(wanted);
    expect(tokenizer.sequenceHashes().slice(0, 8)).toEqual(wanted.slice(0, 8));
  });

  test('guarded encoding equals plain encoding when nobody writes a special token', () => {
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 1, maxLength: 4 }), (contents) => {
        fc.pre(!contents.some((content) => content.includes('\uf8ff') || content.includes('<|')));
        const text = contents.map((content) => `<|im_start|>user\n${content}<|im_end|>\n`).join('');
        expect([...tokenizer.encode(text, { blockSize, guard: '\uf8ff' }).ids]).toEqual(ids(text));
      }),
    );
  });

  test('what a user writes never becomes a control token, and keeps its bytes', () => {
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 1, maxLength: 3 }), (contents) => {
        const { ids: encoded } = chat(contents);
        const controls = encoded.filter((id) => tokenizer.isSpecial(id));
        expect(controls).toEqual(contents.flatMap(() => [1, 2]));
        const bytes = encoded.flatMap((id) => [...(tokenizer.tokenBytes(id) ?? [])]);
        const text = contents.map((content) => `<|im_start|>user\n${content}<|im_end|>\n`).join('');
        expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(text);
      }),
    );
  });

  test('knows the bytes of sentencepiece tokens, and where a text starts', () => {
    using sentencepiece = new Tokenizer(JSON.stringify(metaspace));
    const decoder = new TextDecoder();
    const shown = [0, 1, 20, 3, 4, 5].map((id) => decoder.decode(sentencepiece.tokenBytes(id)));
    expect(shown).toEqual(['<unk>', '</s>', '\n', ' ', ' a', 'a']);
    expect(sentencepiece.stripsFirstSpace).toBe(true);
    const plain = [...sentencepiece.encode('a a</s>a\n', { blockSize }).ids];
    expect(plain).toEqual([4, 4, 1, 5, 20]);
    expect([...sentencepiece.encode('a a</s>a\n', { blockSize, guard: '\uf8ff' }).ids]).toEqual(plain);
    const { texts, guard } = guardTexts(['</s>'], sentencepiece.specialTokens);
    expect([...sentencepiece.encode(texts.join(''), { blockSize, guard }).ids]).not.toContain(1);
  });

  test.each([
    ['', 'not JSON'],
    ['{', 'not JSON'],
    ['[]', 'no model'],
    ['{}', 'no model'],
    ['{"model":{"type":"BPE"}}', 'vocabulary'],
    ['{"model":{"type":"WordLevel","vocab":{"a":0}}}', 'WordLevel'],
    ['{"model":{"type":"BPE","vocab":{"a":4000000000},"merges":[]}}', '4000000000'],
    ['{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}', 'no number'],
    ['{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b c"]}}', 'tokenizer.json'],
    ['{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}', 'tokenizer.json'],
    ['{"added_tokens":7,"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}', 'added_tokens'],
  ])('a broken file is an Error that says so: %s', (text, message) => {
    expect(() => new Tokenizer(text)).toThrow(message);
    expect(ids('still usable').length).toBeGreaterThan(0);
  });

  test('a damaged real file is an Error or a tokenizer, never the end of the instance', () => {
    const damage = fc.record({
      at: fc.nat({ max: 3000 }),
      length: fc.nat({ max: 40 }),
      by: fc.string({ maxLength: 4 }),
    });
    fc.assert(
      fc.property(damage, ({ at, length, by }) => {
        try {
          new Tokenizer(json.slice(0, at) + by + json.slice(at + length)).free();
        } catch (error) {
          expect(error).not.toBeInstanceOf(WebAssembly.RuntimeError);
        }
        expect(ids('ok').length).toBeGreaterThan(0);
      }),
      { numRuns: 60 },
    );
  });
});
