/**
 * When a router says no: whether asking again may help. Permanent refusals end the process, because nothing that this
 * process does will change the answer.
 */

import { type ErrorCode, isErrorCode, StatorError } from '../../durable/runtime/errors.ts';

const PERMANENT: ReadonlySet<ErrorCode> = new Set([
  'stale_epoch',
  'card_mismatch',
  'invalid_api_key',
  'permission_denied',
  'invalid_request',
  'unsupported_parameter',
]);

export interface Refusal {
  error: StatorError;
  permanent: boolean;
}

/** A `Rejected` frame; codes of another version of the house are transient. */
export function refusal(code: string, message: string): Refusal {
  const known = isErrorCode(code) ? code : 'internal';
  return { error: new StatorError(known, message), permanent: PERMANENT.has(known) };
}

/** An HTTP answer instead of the upgrade: status, and `x-stator-code` when there is one. */
export function upgradeRefusal(httpStatus: number, code: string | undefined): Refusal {
  const message = `the platform answered ${httpStatus} instead of opening the fleet socket`;
  if (code !== undefined && isErrorCode(code)) return refusal(code, message);
  if (httpStatus === 401) return refusal('invalid_api_key', `${message}: the fleet token is wrong`);
  if (httpStatus === 403) return refusal('permission_denied', message);
  return refusal('no_workers', message);
}
