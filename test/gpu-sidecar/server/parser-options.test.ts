/** Which parsers read an answer: those of the card, for calls only where the request has tools. */

import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ModelCardSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { OutputSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { nameParsers, parserOptions } from '../../../gpu-sidecar/server/parser-options.ts';
import { bytesOf, byteVocabulary } from '../../harness/byte-vocabulary.ts';

const TOOLS = '[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]';

function optionsOf(
  parsers: { toolCallParser?: string; reasoningParser?: string },
  { tools = '', dialect = 1, prompt = 'hi' } = {},
) {
  const card = create(ModelCardSchema, { name: 'tiny', ...parsers });
  const output = create(OutputSchema, { tools, dialect });
  return parserOptions(output, Uint32Array.from(bytesOf(prompt)), { card, vocabulary: byteVocabulary });
}

test('without tools and without reasoning all text is content', () => {
  expect(optionsOf({ toolCallParser: 'hermes' })).toBeNull();
});

test('tools have their names and schemas', () => {
  expect(optionsOf({ toolCallParser: 'hermes' }, { tools: TOOLS })).toEqual({
    toolCallParser: 'hermes',
    reasoningParser: null,
    tools: [{ name: 'f', parameters: { type: 'object' } }],
  });
});

test('a prompt that ends inside the reasoning says so', () => {
  expect(optionsOf({ reasoningParser: 'qwen3' }, { prompt: 'so <think>\n' })?.reasoningOpen).toBe(true);
  expect(optionsOf({ reasoningParser: 'qwen3' })?.reasoningOpen).toBeUndefined();
});

test('a completion is text, whatever the model marks', () => {
  expect(optionsOf({ reasoningParser: 'qwen3' }, { dialect: 2 })).toBeNull();
});

test('tools for a model whose way of calling nobody named are refused', () => {
  expect(() => optionsOf({}, { tools: TOOLS })).toThrow(
    expect.objectContaining({ code: 'unsupported_parameter', param: 'tools' }),
  );
});

test('a worker names its parsers in its card, and does not start with one that there is not', () => {
  const card = create(ModelCardSchema);
  nameParsers(card, { toolCallParser: 'hermes', reasoningParser: '' });
  expect([card.toolCallParser, card.reasoningParser]).toEqual(['hermes', '']);
  expect(() => nameParsers(card, { toolCallParser: 'pigeon', reasoningParser: '' })).toThrow('pigeon');
});
