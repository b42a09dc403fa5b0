/** What the platform answered with instead of what was asked, as the StatorError that made it: the code is in a header. */

import { isErrorCode, StatorError } from '../../durable/runtime/errors.ts';

/** `said`: what the body says, as far as it was read. */
export function platformRefusal(response: Response, said: StatorError | null = null): StatorError {
  const code = response.headers.get('x-stator-code') ?? '';
  const message = said?.message ?? `the platform answered with HTTP status ${response.status}`;
  return new StatorError(isErrorCode(code) ? code : (said?.code ?? 'worker_unavailable'), message);
}
