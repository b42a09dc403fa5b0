/**
 * The fleet token on every call, compared in constant time. Its length is not a secret.
 */

import { timingSafeEqual } from 'node:crypto';

export class Bearer {
  readonly #expected: Buffer;

  /** An empty token lets nobody in. */
  constructor(token: string) {
    this.#expected = token === '' ? Buffer.alloc(0) : Buffer.from(`Bearer ${token}`);
  }

  /** `header`: the value of `authorization`. */
  accepts(header: string | undefined): boolean {
    if (header === undefined || this.#expected.length === 0) return false;
    const given = Buffer.from(header);
    return given.length === this.#expected.length && timingSafeEqual(given, this.#expected);
  }
}
