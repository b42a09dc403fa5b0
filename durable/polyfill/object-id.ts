/** Ids of objects as workerd has them: 64 hex digits, the same for the same name, never the same for another. */

import { createHash, randomBytes } from 'node:crypto';

export class ObjectId {
  readonly name: string | undefined;
  readonly #hex: string;

  constructor(hex: string, name?: string) {
    this.#hex = hex;
    this.name = name;
  }

  static fromName(namespace: string, name: string): ObjectId {
    const hex = createHash('sha256').update(`${namespace}\u0000${name}`).digest('hex');
    return new ObjectId(hex, name);
  }

  static unique(): ObjectId {
    return new ObjectId(randomBytes(32).toString('hex'));
  }

  toString(): string {
    return this.#hex;
  }

  equals(other: { toString(): string }): boolean {
    return other.toString() === this.#hex;
  }
}
