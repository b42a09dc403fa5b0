/** Is every wrong trace told apart, in words that say where? */

import { describe, expect, test } from 'vitest';
import { parseTrace, readTrace } from '../../../cli/replay/trace.ts';

const GOOD = { timestamp: 5, input_length: 513, output_length: 2, hash_ids: [1, 2] };
const parse = (...lines: unknown[]) =>
  parseTrace(lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'), {
    name: 'some.jsonl',
    blockTokens: 512,
  });

test('a request is what its line says; other fields and empty lines do not matter', () => {
  const trace = parse({ ...GOOD, priority: 3 }, '', { ...GOOD, timestamp: 5 });
  expect(trace.requests).toHaveLength(2);
  expect(trace.requests[0]).toEqual({ atMs: 5, inputTokens: 513, outputTokens: 2, hashIds: [1, 2] });
});

describe('refused', () => {
  const without = (name: string) => Object.fromEntries(Object.entries(GOOD).filter(([key]) => key !== name));
  const bad: [string, unknown[], string][] = [
    ['an empty trace', [''], 'some.jsonl: the trace is empty'],
    ['text', ['hello'], 'some.jsonl line 1: not JSON'],
    ['a list', ['[1]'], 'some.jsonl line 1: not a JSON object'],
    ['no timestamp', [without('timestamp')], 'line 1: timestamp is missing'],
    ['no input_length', [GOOD, without('input_length')], 'line 2: input_length is missing'],
    ['no output_length', [without('output_length')], 'line 1: output_length is missing'],
    ['no hash_ids', [without('hash_ids')], 'line 1: hash_ids is missing'],
    ['a time before 0', [{ ...GOOD, timestamp: -1 }], 'timestamp is not a number of 0 or more'],
    ['a time in words', [{ ...GOOD, timestamp: '5' }], 'timestamp is not a number of 0 or more'],
    ['half a token', [{ ...GOOD, input_length: 0.5 }], 'input_length is not a whole number from 1'],
    ['no answer', [{ ...GOOD, output_length: 0 }], 'output_length is not a whole number from 1'],
    ['ids in words', [{ ...GOOD, hash_ids: ['a', 'b'] }], 'hash_ids is not a list of u32 numbers'],
    ['ids past u32', [{ ...GOOD, hash_ids: [1, 2 ** 32] }], 'hash_ids is not a list of u32 numbers'],
    [
      'too few ids',
      [{ ...GOOD, hash_ids: [1] }],
      'hash_ids has 1 entries; 513 tokens in blocks of 512 need 2',
    ],
    ['times that go back', [GOOD, { ...GOOD, timestamp: 4 }], 'line 2: timestamp 4 is before 5'],
  ];
  test.each(bad)('%s', (_name, lines, message) => {
    expect(() => parse(...lines)).toThrow(message);
    expect(() => parse(...lines)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  test('a file that is not there', () => {
    expect(() => readTrace('/nowhere.jsonl')).toThrow('the trace /nowhere.jsonl cannot be read');
  });
});
