/** Entries with the first of them at hand; any can be taken out. A binary heap whose entries know their place: O(log n). */

import { isBefore, type QueueEntry } from './entry.ts';

export class EntryHeap {
  readonly #entries: QueueEntry[] = [];

  get size(): number {
    return this.#entries.length;
  }

  get first(): QueueEntry | undefined {
    return this.#entries[0];
  }

  /** The first of them in order, as long as somebody asks: O(k) for the k-th. Nothing may change meanwhile. */
  *inOrder(): Generator<QueueEntry, void, void> {
    const next = this.#entries.slice(0, 1);
    for (let entry = next.pop(); entry !== undefined; entry = next.pop()) {
      yield entry;
      for (const at of [2 * entry.at + 1, 2 * entry.at + 2]) {
        const child = this.#entries[at];
        if (child === undefined) continue;
        const behind = next.findIndex((other) => isBefore(other, child));
        next.splice(behind === -1 ? next.length : behind, 0, child);
      }
    }
  }

  add(entry: QueueEntry): void {
    entry.at = this.#entries.push(entry) - 1;
    this.#rise(entry);
  }

  remove(entry: QueueEntry): void {
    const last = this.#entries.pop()!;
    if (last === entry) return;
    this.#entries[entry.at] = last;
    last.at = entry.at;
    this.#rise(last);
    this.#sink(last);
  }

  #rise(entry: QueueEntry): void {
    while (entry.at > 0) {
      const parent = this.#entries[(entry.at - 1) >> 1]!;
      if (!isBefore(entry, parent)) return;
      this.#swap(parent, entry);
    }
  }

  #sink(entry: QueueEntry): void {
    for (;;) {
      const left = this.#entries[2 * entry.at + 1];
      if (left === undefined) return;
      const right = this.#entries[2 * entry.at + 2];
      const child = right !== undefined && isBefore(right, left) ? right : left;
      if (!isBefore(child, entry)) return;
      this.#swap(entry, child);
    }
  }

  /** `upper` is the parent. */
  #swap(upper: QueueEntry, lower: QueueEntry): void {
    const { at } = upper;
    upper.at = lower.at;
    lower.at = at;
    this.#entries[upper.at] = upper;
    this.#entries[lower.at] = lower;
  }
}
