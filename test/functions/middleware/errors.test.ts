/** Does a failure leave with the status of its code, overload with the one that was configured, and no unforeseen words? */

import { expect, test } from 'vitest';
import { settingsFromEnv } from '../../../durable/runtime/config.ts';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { type Env, overloadStatusOf } from '../../../functions/env.ts';
import { errorResponse } from '../../../functions/middleware/errors.ts';

const at = { requestId: 'req_1', api: 'openai' } as const;
const env = (variables: Record<string, string>) => variables as unknown as Env;

test('overload has the configured status, other refusals keep theirs', () => {
  const status = overloadStatusOf(env({ STATOR_OVERLOAD_STATUS_CODE: '503' }));
  const overloaded = new StatorError('overloaded', 'all busy', { retryAfterS: 1 });
  expect(errorResponse(overloaded, at, status).status).toBe(503);
  expect(errorResponse(overloaded, at).status).toBe(529);
  expect(errorResponse(overloaded, at).headers.get('retry-after')).toBe('1');
  expect(errorResponse(new StatorError('no_workers', 'none'), at, 429).status).toBe(503);
});

test('settings that contradict each other still leave as their own error', () => {
  const broken = { STATOR_USE_KV_EVENTS: 'false', STATOR_ROUTER_PREDICTED_TTL_SECS: '2' };
  expect(overloadStatusOf(env(broken))).toBe(529);
  expect(() => settingsFromEnv(broken)).toThrow('STATOR_USE_KV_EVENTS');
});

test("Anthropic's endpoints answer in its words, with the request's id in the body and in its own header", async () => {
  const refusal = new StatorError('overloaded', 'all busy');
  const response = errorResponse(refusal, { requestId: 'req_1', api: 'anthropic' });
  expect(response.status).toBe(529);
  expect(response.headers.get('request-id')).toBe('req_1');
  expect(await response.json()).toEqual({
    type: 'error',
    error: { type: 'overloaded_error', message: 'all busy' },
    request_id: 'req_1',
  });
  expect(errorResponse(refusal, at).headers.has('request-id')).toBe(false);
});
