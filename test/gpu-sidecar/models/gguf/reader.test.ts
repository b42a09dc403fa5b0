/** GGUF headers: what a good file says, and a clear word about every broken one. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { BUILT_IN_MODEL_PATH } from '../../../../gpu-sidecar/models/built-in.ts';
import { EndOfBytes } from '../../../../gpu-sidecar/models/gguf/cursor.ts';
import { modelFacts } from '../../../../gpu-sidecar/models/gguf/metadata.ts';
import { parseGgufHeader, readGgufHeader } from '../../../../gpu-sidecar/models/gguf/reader.ts';
import { type Field, GgufBytes, ggufFile } from './gguf-bytes.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-gguf-'));
afterAll(() => rmSync(folder, { recursive: true }));
const FIELDS: Record<string, Field> = {
  'general.architecture': ['string', 'llama'],
  'general.name': ['string', 'tiny'],
  'llama.context_length': ['u32', 1024],
  'tokenizer.ggml.model': ['string', 'gpt2'],
  'tokenizer.ggml.tokens': ['strings', ['<s>', 'a', 'b']],
  'tokenizer.ggml.token_type': ['u32s', [3, 1, 1]],
  'tokenizer.ggml.eos_token_id': ['u32', 0],
  'tokenizer.ggml.add_bos_token': ['bool', true],
};
const GOOD = ggufFile(FIELDS);

let files = 0;
function written(bytes: Uint8Array): string {
  const path = join(folder, `model-${files++}.gguf`);
  writeFileSync(path, bytes);
  return path;
}

const header = () => new GgufBytes().u32(0x46554747).u32(3);

describe('reading a GGUF file', () => {
  it('finds the facts of a model', async () => {
    const read = await readGgufHeader(written(GOOD));
    expect(read.tensors).toMatchObject([{ name: 'weight', dimensions: [8], type: 0, offset: 0 }]);
    expect(modelFacts(read)).toEqual({
      attention: null,
      causal: true,
      pooling: null,
      architecture: 'llama',
      name: 'tiny',
      description: null,
      contextLengthTokens: 1024,
      chatTemplate: null,
      tokenizer: {
        model: 'gpt2',
        pre: 'default',
        tokens: ['<s>', 'a', 'b'],
        tokenTypes: [3, 1, 1],
        merges: [],
        bosId: null,
        eosId: 0,
        eotId: null,
        addBos: true,
      },
    });
  });

  it('reads the built-in model', async () => {
    const facts = modelFacts(await readGgufHeader(BUILT_IN_MODEL_PATH));
    expect(facts).toMatchObject({ architecture: 'llama', name: 'stator-tiny' });
    expect(facts.chatTemplate).toContain('<|im_start|>');
    expect(facts.tokenizer.tokens[facts.tokenizer.eosId!]).toBe('<|im_end|>');
  });

  it('reads a header that is longer than the first piece', async () => {
    const tokens = Array.from({ length: 60_000 }, (_, i) => `token number ${i}`);
    const bytes = ggufFile({ ...FIELDS, 'tokenizer.ggml.tokens': ['strings', tokens] });
    const facts = modelFacts(await readGgufHeader(written(bytes)));
    expect(facts.tokenizer.tokens).toHaveLength(60_000);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['that is something else', new TextEncoder().encode('{"not": "gguf"}'), /is not a GGUF file/],
    ['that is empty', new Uint8Array(0), /cut off within its header/],
    ['of an unknown version', new GgufBytes().u32(0x46554747).u32(9).zeros(16).done(), /GGUF version 9/],
    [
      'with too many tensors',
      header()
        .u64(2n ** 60n)
        .u64(0)
        .done(),
      /claims \d+ tensors/,
    ],
    [
      'with too many entries',
      header()
        .u64(0)
        .u64(2n ** 63n)
        .done(),
      /claims \d+ metadata entries/,
    ],
    [
      'with a huge string',
      header()
        .u64(0)
        .u64(1)
        .u64(2n ** 40n)
        .zeros(40)
        .done(),
      /claims a string/,
    ],
    [
      'with a huge array',
      header()
        .u64(0)
        .u64(1)
        .text('k')
        .u32(9)
        .u32(4)
        .u64(2n ** 50n)
        .zeros(40)
        .done(),
      /claims an array .* at "k"/,
    ],
    [
      'with an unknown type',
      header().u64(0).u64(1).text('k').u32(77).zeros(40).done(),
      /unknown type 77 at "k"/,
    ],
    [
      'with a key twice',
      header().u64(0).u64(2).text('k').u32(4).u32(1).text('k').u32(4).u32(1).done(),
      /"k" twice/,
    ],
    ['whose tensor data is missing', GOOD.subarray(0, GOOD.length - 8), /cut off: the tensor "weight"/],
    ['with an odd alignment', ggufFile({ ...FIELDS, 'general.alignment': ['u32', 48] }), /alignment 48/],
  ])('refuses a file %s', async (_, bytes, message) => {
    const path = written(bytes);
    const error = await readGgufHeader(path).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'StatorError', code: 'invalid_request', param: 'model' });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toContain(path);
  });

  it('names a file that is not there', async () => {
    await expect(readGgufHeader(join(folder, 'none.gguf'))).rejects.toThrow(
      /none\.gguf cannot be opened \(ENOENT\)/,
    );
    await expect(readGgufHeader(folder)).rejects.toThrow(/cannot be/);
  });

  it('refuses metadata without a tokenizer or with wrong types', async () => {
    const { 'tokenizer.ggml.tokens': _, ...without } = FIELDS;
    const bare = await readGgufHeader(written(ggufFile(without)));
    expect(() => modelFacts(bare)).toThrow(/tokenizer\.ggml\.tokens is missing/);
    const odd = await readGgufHeader(written(ggufFile({ ...FIELDS, 'general.name': ['u32', 1] })));
    expect(() => modelFacts(odd)).toThrow(/general\.name is no string/);
  });

  it('never fails otherwise, wherever a file is cut or changed', () => {
    const change = fc.record({ at: fc.nat(GOOD.length - 1), byte: fc.nat(255), cut: fc.nat(GOOD.length) });
    fc.assert(
      fc.property(change, ({ at, byte, cut }) => {
        const bytes = GOOD.slice();
        bytes[at] = byte;
        for (const one of [bytes, GOOD.subarray(0, cut)]) {
          try {
            parseGgufHeader(one, one.length);
          } catch (thrown) {
            expect(thrown instanceof EndOfBytes || thrown instanceof RangeError).toBe(true);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
