/** Completions as tensors: in the lists of their type, or as raw bytes for who sent raw bytes. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InferStream, inferResponse } from '../../../../gpu-sidecar/server/kserve/infer-response.ts';
import { OUTPUTS } from '../../../../gpu-sidecar/server/kserve/model.ts';

const completion = (texts: readonly string[], finish_reason: string | null = 'stop') => ({
  id: 'cmpl-1',
  model: 'm',
  choices: texts.map((text, index) => ({ index, text, finish_reason })),
});
const wanted = (raw: boolean) => ({ outputs: OUTPUTS, raw });

/** The elements of a raw tensor. */
function elementsOf(raw: Uint8Array): string[] {
  const bytes = Buffer.from(raw);
  const elements: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    elements.push(bytes.subarray(at + 4, at + 4 + length).toString());
    at += 4 + length;
  }
  return elements;
}

test('raw bytes and lists say the same', () => {
  const texts = fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(texts, (said) => {
      const lists = inferResponse(completion(said), { id: '', wanted: wanted(false) });
      const raw = inferResponse(completion(said), { id: '', wanted: wanted(true) });
      expect(lists.outputs[0]?.contents?.bytesContents.map((bytes) => Buffer.from(bytes).toString())).toEqual(
        said,
      );
      expect(raw.rawOutputContents.map(elementsOf)).toEqual([said, said.map(() => 'stop')]);
      expect(raw.outputs.map(({ contents, shape }) => [contents, shape])).toEqual(
        OUTPUTS.map(() => [undefined, [BigInt(said.length)]]),
      );
    }),
  );
});

test('of several choices the stream ends with the last, and each response names its own', () => {
  const inference = { body: {}, stream: true, choices: 2, wanted: wanted(false) };
  const stream = new InferStream('mine', inference);
  const chunk = (index: number, finish_reason: string | null) =>
    stream.response({ id: 'cmpl-1', model: 'm', choices: [{ index, text: 'a', finish_reason }] });
  const said = [chunk(0, null), chunk(1, 'stop'), chunk(0, 'length')].map((response) => [
    response?.id,
    response?.parameters['choice']?.parameterChoice.value,
    response?.parameters['triton_final_response']?.parameterChoice.value,
  ]);
  expect(said).toEqual([
    ['mine', 0n, false],
    ['mine', 1n, false],
    ['mine', 0n, true],
  ]);
  expect(stream.response({ id: 'cmpl-1', model: 'm', choices: [] })).toBeNull();
});
