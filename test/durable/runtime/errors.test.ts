/** Is every error complete in every dialect, and is only what another worker may cure retryable? */

import { expect, test } from 'vitest';
import { ERROR_CODES, isErrorCode, StatorError, toStatorError } from '../../../durable/runtime/errors.ts';

test('every code has an HTTP error status, a gRPC status and an OpenAI body that repeats it', () => {
  for (const code of ERROR_CODES) {
    const error = new StatorError(code, 'what happened', { param: 'field' });
    expect(error.httpStatus, code).toBeGreaterThanOrEqual(400);
    expect(error.grpcStatus, code).toBeGreaterThan(0);
    expect(error.toOpenAi()).toEqual({
      error: { message: 'what happened', type: expect.any(String), param: 'field', code },
    });
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
