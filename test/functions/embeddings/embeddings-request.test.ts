/** What may stand in an embeddings request, and which element is named when it may not. */

import { describe, expect, it } from 'vitest';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { embeddingsRequest } from '../../../functions/embeddings/embeddings-request.ts';

const refused = (body: object) => {
  try {
    embeddingsRequest({ model: 'm', ...body });
    return null;
  } catch (thrown) {
    return thrown instanceof StatorError ? [thrown.code, thrown.param] : thrown;
  }
};

describe('an embeddings request', () => {
  it('takes a text, token ids, or a list of either', () => {
    const inputs = (input: unknown) =>
      embeddingsRequest({ model: 'm', input }).inputs.map(({ param, content }) => [
        param,
        typeof content === 'string' ? content : [...content],
      ]);
    expect(inputs('one')).toEqual([['input', 'one']]);
    expect(inputs([1, 2])).toEqual([['input', [1, 2]]]);
    expect(inputs(['one', 'two'])).toEqual([
      ['input[0]', 'one'],
      ['input[1]', 'two'],
    ]);
    expect(inputs([[1], 'two'])).toEqual([
      ['input[0]', [1]],
      ['input[1]', 'two'],
    ]);
  });

  it('names what is wrong', () => {
    expect(refused({})).toEqual(['invalid_request', 'input']);
    expect(refused({ input: '' })).toEqual(['invalid_request', 'input']);
    expect(refused({ input: [] })).toEqual(['invalid_request', 'input']);
    expect(refused({ input: ['a', ''] })).toEqual(['invalid_request', 'input[1]']);
    expect(refused({ input: ['a', 'b', '\ud800'] })).toEqual(['invalid_request', 'input[2]']);
    expect(refused({ input: ['a', 5] })).toEqual(['invalid_request', 'input[1]']);
    expect(refused({ input: [[1], [2, -1]] })).toEqual(['invalid_request', 'input[1][1]']);
    expect(refused({ input: 'a', encoding_format: 'hex' })).toEqual(['invalid_request', 'encoding_format']);
    expect(refused({ input: 'a', dimensions: 0 })).toEqual(['invalid_request', 'dimensions']);
    expect(refused({ input: Array(2049).fill('a') })).toEqual(['invalid_request', 'input']);
    expect(refused({ input: Array(2048).fill('a') })).toBeNull();
  });
});
