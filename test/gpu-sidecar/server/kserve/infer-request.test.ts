/** Tensors and parameters of a ModelInferRequest as a completion, and every way in which they can be wrong. */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ModelInferRequestSchema } from '../../../../gpu-sidecar/proto/gen/inference/grpc_service_pb.js';
import { readInference } from '../../../../gpu-sidecar/server/kserve/infer-request.ts';

type Init = MessageInitShape<typeof ModelInferRequestSchema>;

const bytes = (text: string) => new TextEncoder().encode(text);
const textInput = (text = 'hi') => ({
  name: 'text_input',
  datatype: 'BYTES',
  shape: [1n],
  contents: { bytesContents: [bytes(text)] },
});
const streaming = (on: boolean, name = 'streaming') => ({
  name,
  datatype: 'BOOL',
  shape: [1n],
  contents: { boolContents: [on] },
});
const read = (init: Init) => readInference(create(ModelInferRequestSchema, { modelName: 'm', ...init }));

function raw(text: string): Uint8Array {
  const body = bytes(text);
  const prefixed = new Uint8Array(4 + body.length);
  new DataView(prefixed.buffer).setUint32(0, body.length, true);
  prefixed.set(body, 4);
  return prefixed;
}

test('text and streaming, as contents and as raw bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.boolean(), (text, on) => {
      const wanted = { model: 'm', prompt: text, stream: on };
      expect(read({ inputs: [textInput(text), streaming(on)] }).body).toEqual(wanted);
      const inputs = [streaming(on), textInput(text)].map((input) => ({ ...input, contents: {} }));
      const rawInputContents = [new Uint8Array([on ? 1 : 0]), raw(text)];
      expect(read({ inputs, rawInputContents }).body).toEqual(wanted);
    }),
  );
});

test('Dynamo also calls it stream, and takes a batch of one', () => {
  const inputs = [{ ...textInput(), shape: [1n, 1n] }, streaming(true, 'stream')];
  expect(read({ inputs })).toMatchObject({ stream: true, body: { prompt: 'hi' } });
});

test('parameters are fields of a completion', () => {
  const parameters: NonNullable<Init['parameters']> = {
    max_tokens: { parameterChoice: { case: 'int64Param', value: 5n } },
    seed: { parameterChoice: { case: 'uint64Param', value: 7n } },
    temperature: { parameterChoice: { case: 'doubleParam', value: 0.5 } },
    echo: { parameterChoice: { case: 'boolParam', value: true } },
    stop: { parameterChoice: { case: 'stringParam', value: '["a","b"]' } },
    user: { parameterChoice: { case: 'stringParam', value: '[not JSON' } },
  };
  expect(read({ inputs: [textInput()], parameters }).body).toEqual({
    model: 'm',
    prompt: 'hi',
    stream: false,
    max_tokens: 5,
    seed: 7,
    temperature: 0.5,
    echo: true,
    stop: ['a', 'b'],
    user: '[not JSON',
  });
});

test('only the outputs that are asked for', () => {
  const inputs = [textInput()];
  expect(read({ inputs }).wanted.outputs).toEqual(['text_output', 'finish_reason']);
  expect(read({ inputs, outputs: [{ name: 'text_output' }] }).wanted.outputs).toEqual(['text_output']);
});

const text = (value: string) => ({ parameterChoice: { case: 'stringParam' as const, value } });
const wrong: [string, Init, string][] = [
  ['no text', { inputs: [] }, "'text_input': this input is missing"],
  ['text of another type', { inputs: [{ ...textInput(), datatype: 'INT32' }] }, "not 'INT32'"],
  ['two texts in one', { inputs: [{ ...textInput(), shape: [2n] }] }, 'has the shape [1], not [2]'],
  ['a scalar', { inputs: [{ ...textInput(), shape: [] }] }, 'has the shape [1], not []'],
  ['an empty tensor', { inputs: [{ ...textInput(), contents: {} }] }, 'wants one element'],
  ['the same input twice', { inputs: [textInput(), textInput()] }, 'this input is there twice'],
  ['an unknown input', { inputs: [{ ...textInput(), name: 'image' }] }, "'image': there is no such input"],
  ['an unknown output', { inputs: [textInput()], outputs: [{ name: 'x' }] }, "'x': there is no such output"],
  [
    'text that is not UTF-8',
    { inputs: [{ ...textInput(), contents: { bytesContents: [new Uint8Array([0xff])] } }] },
    'is not UTF-8',
  ],
  [
    'a wrong length',
    { inputs: [textInput()], rawInputContents: [new Uint8Array([9, 0, 0, 0, 1])] },
    'behind its length',
  ],
  [
    'raw bytes for one of two',
    { inputs: [textInput(), streaming(true)], rawInputContents: [raw('a')] },
    '1 for 2 inputs',
  ],
  ['a model in the parameters', { inputs: [textInput()], parameters: { model: text('n') } }, "'model'"],
  ['broken JSON', { inputs: [textInput()], parameters: { nvext: text('{') } }, "'nvext': is not valid JSON"],
];

test.each(wrong)('%s is refused by name', (_name, init, says) => {
  let thrown: unknown;
  try {
    read(init);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'invalid_request', message: expect.stringContaining(says) });
});

test('there is one version', () => {
  expect(read({ inputs: [textInput()], modelVersion: '1' }).body['model']).toBe('m');
  expect(() => read({ inputs: [textInput()], modelVersion: '2' })).toThrow('has version 1 only');
});
