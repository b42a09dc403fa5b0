/** Is every error complete in every dialect, and is only what another worker may cure retryable? */

import { expect, test } from 'vitest';
import { ERROR_CODES, isErrorCode, StatorError, toStatorError } from '../../../durable/runtime/errors.ts';

const ANTHROPIC_TYPES = [
  'invalid_request_error',
  'authentication_error',
  'permission_error',
  'not_found_error',
  'request_too_large',
  'timeout_error',
  'overloaded_error',
  'api_error',
];

test('every code has an HTTP error status, a gRPC status, an OpenAI body that repeats it and an Anthropic body', () => {
  for (const code of ERROR_CODES) {
    const error = new StatorError(code, 'what happened', { param: 'field' });
    expect(error.httpStatus, code).toBeGreaterThanOrEqual(400);
    expect(error.grpcStatus, code).toBeGreaterThan(0);
    expect(error.toOpenAi()).toEqual({
      error: { message: 'what happened', type: expect.any(String), param: 'field', code },
    });
    const { type } = error.toAnthropic().error;
    expect(ANTHROPIC_TYPES, code).toContain(type);
    expect(type === 'invalid_request_error', code).toBe(
      error.httpStatus < 500 && ![401, 403, 404, 413].includes(error.httpStatus),
    );
    expect(isErrorCode(code)).toBe(true);
  }
});

test('only failures of one worker may be tried on another', () => {
  const retryable = ERROR_CODES.filter((code) => new StatorError(code, '').retryable);
  expect(retryable.sort()).toEqual(['overloaded', 'worker_draining', 'worker_unavailable']);
});

test('what is no code is none, inherited names included', () => {
  expect(['', 'nope', 'toString', '__proto__'].filter(isErrorCode)).toEqual([]);
});

test('whatever was thrown becomes an error with its cause', () => {
  const known = new StatorError('overloaded', 'busy', { retryAfterS: 3 });
  expect(toStatorError(known)).toBe(known);
  const cause = new TypeError('x is not a function');
  expect(toStatorError(cause)).toMatchObject({ code: 'internal', message: cause.message, cause });
  expect(toStatorError('text')).toMatchObject({ code: 'internal', message: 'text' });
});

test("Anthropic's body has the request's id and what machines want to know, where there are such", () => {
  const report = { error_code: 'thread_unsupported_request' };
  expect(new StatorError('unsupported_parameter', 'no', { report }).toAnthropic('req_1')).toEqual({
    type: 'error',
    error: { type: 'invalid_request_error', message: 'no', details: report },
    request_id: 'req_1',
  });
});
