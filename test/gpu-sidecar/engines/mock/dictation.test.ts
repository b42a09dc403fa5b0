/** What does the mock engine say when it is dictated to? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dictationOf } from '../../../../gpu-sidecar/engines/mock/dictation.ts';
import { mockKind } from '../../../../gpu-sidecar/engines/mock/kind.ts';
import { detokenise } from '../../../../gpu-sidecar/response/detokenise.ts';
import { tokenTexts } from '../../../../gpu-sidecar/response/token-texts.ts';
import { request, run } from '../../../contract/engine.harness.ts';
import { bytesOf, vocabularyOf } from '../../../harness/byte-vocabulary.ts';

const pieces = ['«', 'ab', 'b»', 'aba', '😀'].map(bytesOf);
const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
const vocabulary = vocabularyOf([...bytes, ...pieces]);
const dictation = dictationOf(vocabulary);
const textOf = (tokens: Uint32Array | null) =>
  tokens === null ? null : detokenise(tokenTexts(vocabulary, null), tokens);
const said = (prompt: string) => textOf(dictation(Uint32Array.from(bytesOf(prompt))));

test('what stands last between the marks', () => {
  expect(said('Say «one» and «two», please.')).toBe('two');
  expect(said('«»')).toBe('');
  expect(['nothing', '«open', 'closed»', '» «'].map(said)).toEqual([null, null, null, null]);
});

test('any text, whatever tokens it is made of', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'ab', '😀', 'é', '<', '\n') });
  fc.assert(
    fc.property(text, (answer) => {
      expect(said(`x «${answer}» y`)).toBe(answer);
    }),
  );
});

test('an engine that is dictated to ends behind it, and goes on where it was broken off', async () => {
  const engine = await mockKind.start({
    modelPath: '',
    modelName: null,
    contextLengthTokens: null,
    blockSizeTokens: 16,
    speedup: 0,
    extra: { dictation: 'true' },
  });
  const byteIds = new Map<number, number>();
  for (let id = engine.vocabulary.size - 1; id >= 0; id--) {
    const [byte, ...others] = engine.vocabulary.tokenBytes(id);
    if (byte !== undefined && others.length === 0) byteIds.set(byte, id);
  }
  const tokens = Array.from(bytesOf('Say «Say é 😀, and end.», now.'), (byte) => byteIds.get(byte)!);
  const whole = await run(engine, request(tokens, { ignoreEos: false, maxTokens: 99 }));
  expect(whole.reason).toBe('stop');
  expect(detokenise(tokenTexts(engine.vocabulary, null), Uint32Array.from(whole.tokens))).toBe(
    'Say é 😀, and end.',
  );
  const resumed = { promptTokens: tokens.length, ignoreEos: false, maxTokens: 99 };
  const rest = await run(engine, request([...tokens, ...whole.tokens.slice(0, 3)], resumed));
  expect(rest.tokens).toEqual(whole.tokens.slice(3));
  await engine.stop();
});
