/** Log probabilities as OpenAI writes them, in both dialects. */

import { expect, test } from 'vitest';
import { openResponse } from '../../../gpu-sidecar/response/response-fold.ts';
import { bytesOf, textVocabulary, vocabularyOf } from '../../harness/byte-vocabulary.ts';
import { factsOf, payloads } from './facts-of.ts';

const halves = [bytesOf('😀').subarray(0, 2), bytesOf('😀').subarray(2)];
const vocabulary = vocabularyOf([bytesOf('é'), ...halves, bytesOf('!')]);
const of = (id: number) => ({ logprob: -id, top: [[0, -0.5] as const] });

test('a chat names each token with its bytes, and likely ones beside it', () => {
  const fold = openResponse(factsOf({ stream: false, logprobs: true }), vocabulary);
  for (const id of [0, 1]) fold.push(id, of(id));
  const { choices } = JSON.parse(fold.finish('length'));
  expect(choices[0].logprobs).toEqual({
    content: [
      {
        token: 'é',
        logprob: 0,
        bytes: [0xc3, 0xa9],
        top_logprobs: [{ token: 'é', logprob: -0.5, bytes: [0xc3, 0xa9] }],
      },
      {
        token: '\ufffd',
        logprob: -1,
        bytes: [0xf0, 0x9f],
        top_logprobs: [{ token: 'é', logprob: -0.5, bytes: [0xc3, 0xa9] }],
      },
    ],
    refusal: null,
  });
});

test('a completion has parallel lists, half characters by their bytes, and offsets in characters', () => {
  const facts = factsOf({ stream: false, logprobs: true, dialect: 'openai-completion' });
  const fold = openResponse(facts, vocabulary);
  for (const id of [0, 1, 2, 3]) fold.push(id, of(id));
  expect(JSON.parse(fold.finish('length')).choices[0].logprobs).toEqual({
    tokens: ['é', 'bytes:\\xf0\\x9f', 'bytes:\\x98\\x80', '!'],
    token_logprobs: [0, -1, -2, -3],
    top_logprobs: [
      { é: 0 },
      { é: -0.5, 'bytes:\\xf0\\x9f': -1 },
      { é: -0.5, 'bytes:\\x98\\x80': -2 },
      { é: -0.5, '!': -3 },
    ],
    text_offset: [0, 1, 2, 2],
  });
});

test('a stream has an event per token, without those of a stop string that has no text before it', () => {
  const facts = factsOf({ logprobs: true, stop: ['XY'] });
  const fold = openResponse(facts, textVocabulary(['a', 'X', 'Y']));
  const stream = fold.started(0) + [0, 1, 2].map((id) => fold.push(id, of(id))).join('');
  const chunks = payloads(stream).map(
    (chunk) => (chunk['choices'] as { logprobs: unknown; delta: object }[])[0]!,
  );
  expect(chunks.map(({ delta }) => delta)).toEqual([
    { role: 'assistant', content: '' },
    { content: 'a' },
    { content: '' },
    {},
  ]);
  expect(chunks.map(({ logprobs }) => logprobs !== null)).toEqual([false, true, true, false]);
});
