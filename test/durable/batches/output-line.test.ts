/** Lines of output files are one line each, whatever stands in an answer. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { answerLine, errorLine } from '../../../durable/batches/output-line.ts';

test('an answer stays what it is', () => {
  fc.assert(
    fc.property(fc.json(), fc.string(), fc.constantFrom('', ' ', '\n \r\n'), (body, customId, space) => {
      const answer = { status: 200, requestId: 'req_1', body: space + body + space };
      const line = answerLine({ id: 'batch_req_1', customId }, answer);
      expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(JSON.parse(line)).toEqual({
        id: 'batch_req_1',
        custom_id: customId,
        response: { status_code: 200, request_id: 'req_1', body: JSON.parse(body) },
        error: null,
      });
    }),
  );
  const pretty = { status: 200, requestId: 'r', body: '{\n  "a": "b\\nc"\n}' };
  expect(answerLine({ id: 'i', customId: 'c' }, pretty).split('\n')).toHaveLength(2);
});

test('a request without an answer says why', () => {
  const line = errorLine({ id: 'i', customId: 'c' }, { code: 'batch_expired', message: 'late' });
  expect(JSON.parse(line)).toEqual({
    id: 'i',
    custom_id: 'c',
    response: null,
    error: { code: 'batch_expired', message: 'late' },
  });
});
