/**
 * Turns what happens in a block cache into the KV events of the fleet socket, in order, and holds them back until the
 * engine says that they are true (the end of a pass).
 *
 * Without a listener nothing is recorded. Consecutive removals become one event.
 */

import type { BlockObserver, BlockPath } from './block-cache.ts';
import type { KvEventSink } from './engine.ts';

type Entry =
  | { kind: 'stored'; parentHash: Uint8Array | null; blockHashes: Uint8Array; tokensHashes: Uint8Array }
  | { kind: 'removed'; words: number[] }
  | { kind: 'cleared' };

export class KvEventLog implements BlockObserver {
  #entries: Entry[] = [];
  #sink: KvEventSink | null = null;

  listen(sink: KvEventSink): void {
    this.#sink = sink;
  }

  stored(path: BlockPath, from: number, to: number): void {
    if (this.#sink === null) return;
    this.#entries.push({
      kind: 'stored',
      parentHash: from === 0 ? null : packed(path.sequenceHashes, from - 1, from),
      blockHashes: packed(path.sequenceHashes, from, to),
      tokensHashes: packed(path.localHashes, from, to),
    });
  }

  removed(low: number, high: number): void {
    if (this.#sink === null) return;
    const last = this.#entries.at(-1);
    if (last?.kind === 'removed') last.words.push(low, high);
    else this.#entries.push({ kind: 'removed', words: [low, high] });
  }

  /** Everything is gone: replaces what was recorded and not yet told. */
  cleared(): void {
    if (this.#sink !== null) this.#entries = [{ kind: 'cleared' }];
  }

  /** Tells the listener everything recorded since the last flush. */
  flush(): void {
    if (this.#entries.length === 0 || this.#sink === null) return;
    const entries = this.#entries;
    this.#entries = [];
    for (const entry of entries) {
      if (entry.kind === 'stored') this.#sink.stored(entry);
      else if (entry.kind === 'removed')
        this.#sink.removed(new Uint8Array(Uint32Array.from(entry.words).buffer));
      else this.#sink.cleared();
    }
  }
}

/** Hashes `from` to `to` (exclusive) as packed little-endian u64, copied. */
export function packed(words: Uint32Array, from: number, to: number): Uint8Array {
  return new Uint8Array(words.slice(2 * from, 2 * to).buffer);
}
