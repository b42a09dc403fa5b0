/** Is every field of a GenerateRequest either taken over or refused by name? */

import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ManualClock } from '../../../durable/runtime/clock.ts';
import type { StatorError } from '../../../durable/runtime/errors.ts';
import { ModelCardSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { parseGenerate } from '../../../gpu-sidecar/server/generate-request.ts';
import { workerLimits } from '../../../gpu-sidecar/server/worker-limits.ts';
import { byteVocabulary } from '../../harness/byte-vocabulary.ts';
import { documentOutput, packed, requestOf } from './worker-of.ts';

const card = create(ModelCardSchema, { name: 'tiny' });
const bounds = {
  vocabulary: byteVocabulary,
  contextLengthTokens: 16,
  card,
  grammars: undefined,
  stopwatch: new ManualClock(),
  limits: workerLimits,
};
const parse = (change: Parameters<typeof requestOf>[0]) => parseGenerate(requestOf(change), bounds);

test('absent sampling values are those that change nothing', () => {
  expect(parse({}).engine.sampling).toEqual({
    temperature: 0,
    topP: 1,
    topK: 0,
    minP: 0,
    seed: 0n,
    choice: 0,
    topLogprobs: null,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 1,
    logitBias: new Map(),
  });
});

test('given values arrive at the engine', () => {
  const { engine, facts } = parse({
    blockHashes: new Uint8Array(16),
    hashSeed: 7n,
    priority: -2,
    sampling: { temperature: 0.5, topP: 0.25, topK: 4, seed: 9n, repetitionPenalty: 2, logitBias: { 5: -1 } },
    stop: { maxTokens: 3, minTokens: 1, stop: ['x'], stopTokenIds: packed([8]), ignoreEos: true },
  });
  expect(engine).toMatchObject({ hashSeed: 7n, priority: -2, maxTokens: 3, minTokens: 1, ignoreEos: true });
  expect(engine.stopTokenIds).toEqual([8]);
  expect(engine.sampling).toMatchObject({ temperature: 0.5, topP: 0.25, topK: 4, seed: 9n });
  expect(engine.sampling.logitBias.get(5)).toBe(-1);
  expect(facts).toMatchObject({ dialect: 'openai-chat', stop: ['x'], promptTokens: 3 });
});

test('echo is the text of the prompt', () => {
  const output = { ...documentOutput, dialect: 2, echo: true };
  expect(parse({ tokenIds: packed([0x68, 0x69]), output }).facts.echoText).toBe('hi');
});

const wrong: [string, string, Parameters<typeof requestOf>[0]][] = [
  ['an empty prompt', 'token_ids', { tokenIds: new Uint8Array(0) }],
  ['half a token id', 'token_ids', { tokenIds: new Uint8Array(6) }],
  ['a token outside the vocabulary', 'token_ids', { tokenIds: packed([257]) }],
  ['half a block hash', 'block_hashes', { blockHashes: new Uint8Array(9) }],
  ['no output', 'output', { output: undefined as never }],
  ['no dialect', 'output.dialect', { output: { ...documentOutput, dialect: 0 } }],
  ['no max_tokens', 'stop.max_tokens', { stop: {} }],
  ['an empty stop string', 'stop.stop', { stop: { maxTokens: 1, stop: [''] } }],
  ['too many stop strings', 'stop.stop', { stop: { maxTokens: 1, stop: Array(17).fill('x') } }],
  ['a long stop string', 'stop.stop', { stop: { maxTokens: 1, stop: ['x'.repeat(257)] } }],
  ['a NaN temperature', 'sampling.temperature', { sampling: { temperature: Number.NaN } }],
  ['a negative top_p', 'sampling.top_p', { sampling: { topP: -0.5 } }],
  ['17 choices', 'sampling.n', { sampling: { n: 17 } }],
  ['21 likely tokens', 'sampling.top_logprobs', { sampling: { topLogprobs: 21 } }],
  [
    'the end of a choice where there is one',
    'resume.token_ids',
    { resume: { tokenIds: packed([0xffff_ffff]) } },
  ],
  ['a request id with a line feed', 'request_id', { requestId: 'a\nb' }],
  ['a document to be continued', 'resume', { output: documentOutput, resume: { events: 1 } }],
  ['old tokens outside the vocabulary', 'resume.token_ids', { resume: { tokenIds: packed([999]) } }],
];

test.each(wrong)('%s is refused by name: %s', (_, param, change) => {
  expect(() => parse(change)).toThrow(expect.objectContaining({ code: 'invalid_request', param }));
});

test('a form that the engine cannot hold to is unsupported', () => {
  expect(() => parse({ grammar: { kind: 1 } })).toThrow(
    expect.objectContaining({ code: 'unsupported_parameter', param: 'response_format' }),
  );
});

test('several choices begin with the prompt alone, whatever an earlier worker generated', () => {
  const tokenIds = packed([7, 8, 0xffff_ffff]);
  const { engine, facts, resume } = parse({ sampling: { n: 3 }, resume: { tokenIds, events: 4 } });
  expect(engine.tokenIds).toEqual(Uint32Array.of(1, 2, 3));
  expect(facts.choices).toBe(3);
  expect(resume?.tokenIds).toEqual(Uint32Array.of(7, 8, 0xffff_ffff));
});

test('a prompt that fills the context is context_length_exceeded', () => {
  const tokenIds = packed(Array(16).fill(1));
  expect(() => parse({ tokenIds })).toThrow(
    expect.objectContaining({ code: 'context_length_exceeded' } satisfies Partial<StatorError>),
  );
});
