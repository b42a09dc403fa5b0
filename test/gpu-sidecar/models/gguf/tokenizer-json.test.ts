/** A GGUF tokenizer in Hugging Face's form, judged by the file that the training wrote beside the built-in model. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Tokenizer } from '#wasm/tokens';
import { BUILT_IN_MODEL_PATH } from '../../../../gpu-sidecar/models/built-in.ts';
import { modelFacts } from '../../../../gpu-sidecar/models/gguf/metadata.ts';
import { readGgufHeader } from '../../../../gpu-sidecar/models/gguf/reader.ts';
import { tokenizerJson } from '../../../../gpu-sidecar/models/gguf/tokenizer-json.ts';
import { byteTokenizer } from '../../../contract/byte-tokenizer.ts';

const TEXTS = [
  '<|im_start|>user\nWhat is Stator?<|im_end|>\n<|im_start|>assistant\n',
  'It has 1234 tests, 5.6 ms and  two  spaces.\n\n',
  "Don't split café, 你好 or 🙂 wrongly; it's bytes!",
];

describe('a GGUF tokenizer as tokenizer.json', () => {
  it('gives the same ids as the original', async () => {
    const { tokenizer } = modelFacts(await readGgufHeader(BUILT_IN_MODEL_PATH));
    const converted = new Tokenizer(new TextDecoder().decode(tokenizerJson(tokenizer)!));
    const original = new Tokenizer(
      readFileSync(join(dirname(BUILT_IN_MODEL_PATH), 'tokenizer.json'), 'utf8'),
    );
    for (const text of TEXTS) {
      const ids = [...converted.encode(text, { blockSize: 16 }).ids];
      expect(ids).toEqual([...original.encode(text, { blockSize: 16 }).ids]);
    }
    expect(converted.specialTokens).toEqual(original.specialTokens);
  });

  it('is the same bytes every time', () => {
    expect(tokenizerJson(byteTokenizer())).toEqual(tokenizerJson(byteTokenizer()));
  });

  it('is refused for what is not known', () => {
    expect(tokenizerJson({ ...byteTokenizer(), model: 'llama' })).toBeNull();
    expect(tokenizerJson({ ...byteTokenizer(), pre: 'made-up' })).toBeNull();
    expect(tokenizerJson({ ...byteTokenizer(), merges: [] })).toBeNull();
    const { tokens } = byteTokenizer();
    expect(tokenizerJson({ ...byteTokenizer(), tokens: [...tokens.slice(0, -1), 'a'] })).toBeNull();
  });
});
