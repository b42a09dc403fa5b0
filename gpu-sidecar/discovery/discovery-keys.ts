/** What a key may be, for every backend alike: words with slashes between them, as files and URLs can have them. */

import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';

const KEY = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/** Throws `invalid_request`. */
export function checkEntry(key: string, value: string): void {
  if (!KEY.test(key) || key.length > LIMITS.discoveryKeyLength) {
    throw new StatorError('invalid_request', `'${key.slice(0, 80)}' cannot be a key of discovery`);
  }
  if (value.length > LIMITS.discoveryValueLength) {
    const message = `the value of ${key} has ${value.length} characters; the limit is ${LIMITS.discoveryValueLength}`;
    throw new StatorError('invalid_request', message);
  }
}

export const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};
