/** What the streams and documents of each dialect look like. */

import { expect, test } from 'vitest';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { parseEventId } from '../../../durable/runtime/event-id.ts';
import { openResponse } from '../../../gpu-sidecar/response/response-fold.ts';
import { bytesOf, byteVocabulary, textVocabulary } from '../../harness/byte-vocabulary.ts';
import { factsOf, payloads, runFold } from './facts-of.ts';

const vocabulary = textVocabulary(['Hel', 'lo', ' E', 'ND', ' "quoted"\n']);

test('a chat stream is role, content, finish and [DONE], each with its id line', () => {
  const stream = runFold(openResponse(factsOf(), vocabulary), [0, 1]).toString();
  const events = stream.split('\n\n').slice(0, -1);
  expect(events.map((event) => event.split('\n')[0])).toEqual([
    'id: 0:',
    'id: 1:0',
    'id: 2:1',
    'id: 3:',
    'id: 4:',
  ]);
  const chunks = payloads(stream);
  expect(chunks.map((chunk) => (chunk['choices'] as { delta: object }[])[0]!.delta)).toEqual([
    { role: 'assistant', content: '' },
    { content: 'Hel' },
    { content: 'lo' },
    {},
  ]);
  expect(chunks.at(-1)).toEqual({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_800_000_000,
    model: 'tiny',
    choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }],
  });
  expect(events.at(-1)).toBe('id: 4:\ndata: [DONE]');
});

test('with usage the last chunk has it and the others say null', () => {
  const fold = openResponse(factsOf({ includeUsage: true }), vocabulary);
  const chunks = payloads(runFold(fold, [0, 1], { reason: 'length', cachedTokens: 5 }).toString());
  expect(chunks.slice(0, -1).every((chunk) => chunk['usage'] === null)).toBe(true);
  expect(chunks.at(-1)).toMatchObject({
    choices: [],
    usage: {
      prompt_tokens: 7,
      completion_tokens: 2,
      total_tokens: 9,
      prompt_tokens_details: { cached_tokens: 5 },
    },
  });
});

test('tokens that were held back travel with the next event', () => {
  const stream = runFold(openResponse(factsOf(), byteVocabulary), [...bytesOf('a😀b')]).toString();
  const ids = stream
    .split('\n\n')
    .map((event) => parseEventId(event.split('\n')[0]!.slice(4))?.tokenIds.length);
  expect(ids.slice(0, -1)).toEqual([0, 1, 4, 1, 0, 0]);
});

test('a stop string ends the answer before it and counts its tokens', () => {
  const fold = openResponse(factsOf({ stop: [' END'], includeUsage: true }), vocabulary);
  const stream = runFold(fold, [0, 2, 3, 1, 1]).toString();
  expect(fold.done).toBe(true);
  expect(fold.reason).toBe('stop');
  const chunks = payloads(stream);
  expect(
    chunks.map((c) => (c['choices'] as { delta?: { content?: string } }[])[0]?.delta?.content ?? ''),
  ).toEqual(['', 'Hel', '', '']);
  expect(chunks.at(-1)).toMatchObject({ usage: { completion_tokens: 3 } });
});

test('a held-back partial stop string is text when the engine ends', () => {
  const fold = openResponse(factsOf({ stop: [' END'] }), vocabulary);
  expect(runFold(fold, [0, 2], { reason: 'length' }).toString()).toContain('{"content":" E"}');
});

test('stop strings do not count before min_tokens', () => {
  const fold = openResponse(factsOf({ stop: ['lo'], minTokens: 3 }), vocabulary);
  const texts = payloads(runFold(fold, [1, 0, 0, 1, 0]).toString()).map(
    (chunk) => (chunk['choices'] as { delta: { content?: string } }[])[0]!.delta.content ?? '',
  );
  expect(texts.join('')).toBe('loHelHel');
  expect(fold.tokens).toBe(4);
});

test('a completion stream begins with the echo and has no role', () => {
  const facts = factsOf({ dialect: 'openai-completion', echoText: 'Say: ', responseId: 'cmpl-1' });
  const chunks = payloads(runFold(openResponse(facts, vocabulary), [0, 4]).toString());
  expect(chunks.map((chunk) => (chunk['choices'] as { text: string }[])[0]!.text)).toEqual([
    'Say: ',
    'Hel',
    ' "quoted"\n',
    '',
  ]);
  expect(chunks[0]!['object']).toBe('text_completion');
});

test.each([
  ['openai-chat', { message: { role: 'assistant', content: 'Hello', refusal: null } }, 'chat.completion'],
  ['openai-completion', { text: 'Hello' }, 'text_completion'],
] as const)('without streaming %s is one document', (dialect, choice, object) => {
  const fold = openResponse(factsOf({ stream: false, dialect }), vocabulary);
  const document = JSON.parse(runFold(fold, [0, 1], { cachedTokens: 4, reason: 'length' }).toString());
  expect(document).toEqual({
    id: 'chatcmpl-1',
    object,
    created: 1_800_000_000,
    model: 'tiny',
    choices: [{ index: 0, ...choice, logprobs: null, finish_reason: 'length' }],
    usage: {
      prompt_tokens: 7,
      completion_tokens: 2,
      total_tokens: 9,
      prompt_tokens_details: { cached_tokens: 4 },
    },
  });
});

test('a failure is an event without an id, or the error body in place of the document', () => {
  const error = new StatorError('engine_error', 'it broke');
  const body = { error: { message: 'it broke', type: 'server_error', param: null, code: 'engine_error' } };
  const stream = openResponse(factsOf(), vocabulary);
  expect(stream.fail(error)).toBe(`data: ${JSON.stringify(body)}\n\n`);
  const document = openResponse(factsOf({ stream: false }), vocabulary);
  expect(JSON.parse(document.fail(error))).toEqual(body);
});
