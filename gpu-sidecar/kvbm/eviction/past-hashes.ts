/** What is remembered of blocks that are gone, by sequence hash: bounded, the oldest half is forgotten at once. */

export class PastHashes<Value> {
  readonly #half: number;
  #young = new Map<bigint, Value>();
  #old = new Map<bigint, Value>();

  constructor(capacity: number) {
    this.#half = Math.max(1, Math.ceil(capacity / 2));
  }

  add(hash: bigint, value: Value): void {
    if (this.#young.size >= this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(hash, value);
  }

  /** The value, which is forgotten by that. */
  take(hash: bigint): Value | undefined {
    for (const generation of [this.#young, this.#old]) {
      const value = generation.get(hash);
      if (value === undefined) continue;
      generation.delete(hash);
      return value;
    }
    return undefined;
  }
}
