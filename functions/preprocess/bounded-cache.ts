/**
 * Things made from a model's files, kept per isolate by content hash: least recently used goes first, bounded in number
 * and in the bytes of the files. It holds finished values, never promises.
 */
export interface CacheBounds {
  entries: number;
  bytes: number;
}

export class BoundedCache<Value> {
  readonly #entries = new Map<string, { value: Value; bytes: number }>();
  readonly #bounds: CacheBounds;
  readonly #dispose: (value: Value) => void;
  #bytes = 0;

  constructor(bounds: CacheBounds, dispose: (value: Value) => void = () => {}) {
    this.#bounds = bounds;
    this.#dispose = dispose;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (this.#entries.size > 1) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    }
    return entry.value;
  }

  /** Keeps a value made from `bytes` bytes. A key that is there already keeps its value, which is returned. */
  put(key: string, value: Value, bytes: number): Value {
    const known = this.get(key);
    if (known !== undefined) {
      if (known !== value) this.#dispose(value);
      return known;
    }
    this.#entries.set(key, { value, bytes });
    this.#bytes += bytes;
    this.#evict(key);
    return value;
  }

  /** The newest entry stays, whatever its size. */
  #evict(newest: string): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= this.#bounds.entries && this.#bytes <= this.#bounds.bytes) return;
      if (key === newest) return;
      this.#entries.delete(key);
      this.#bytes -= entry.bytes;
      this.#dispose(entry.value);
    }
  }
}
