/**
 * What one watcher was told, so that it is told differences only: whole lists replace it, single changes move it on. Pure.
 *
 * A changed value counts as added again: who compares keys alone keeps calling the old address of a worker that came back
 * at another one under its old name.
 */

import type { DiscoveryChange, DiscoveryEntry } from './discovery.ts';

export class KnownEntries {
  readonly #values = new Map<string, string>();
  readonly #tell: (change: DiscoveryChange) => void;

  constructor(tell: (change: DiscoveryChange) => void) {
    this.#tell = tell;
  }

  get size(): number {
    return this.#values.size;
  }

  /** All there is now. What is gone is told first. */
  replace(entries: Iterable<DiscoveryEntry>): void {
    const now = new Map<string, string>();
    for (const { key, value } of entries) now.set(key, value);
    for (const key of [...this.#values.keys()]) if (!now.has(key)) this.removed(key);
    for (const [key, value] of now) this.added(key, value);
  }

  added(key: string, value: string): void {
    if (this.#values.get(key) === value) return;
    this.#values.set(key, value);
    this.#tell({ kind: 'added', key, value });
  }

  removed(key: string): void {
    if (this.#values.delete(key)) this.#tell({ kind: 'removed', key });
  }
}
