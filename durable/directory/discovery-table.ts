/**
 * The platform's own table of discovery: keys with values, each of an owner (a fleet's namespace, or a process's socket), and
 * who watches. Pure and in memory: after a restart the owners repeat themselves.
 *
 * Invariants: a key has one owner, the last that put it, so that a process that came back on a new socket is not taken away
 * with its old one; versions rise with every change and are never used twice, also after a restart (they start at the
 * clock).
 */

import type { TableChange } from '../runtime/discovery-frames.ts';
import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { DiscoveryEntry } from './rpc.ts';

export type TableWatcher = (change: TableChange) => void;

export class DiscoveryTable {
  readonly #entries = new Map<string, { value: string; owner: string }>();
  readonly #keysOf = new Map<string, Set<string>>();
  readonly #watchers = new Set<TableWatcher>();
  #version: number;

  constructor(nowMs: number) {
    this.#version = nowMs;
  }

  get version(): number {
    return this.#version;
  }

  /** Throws `overloaded` when the table is full. */
  put(owner: string, { key, value }: DiscoveryEntry): void {
    const known = this.#entries.get(key);
    if (known === undefined && this.#entries.size >= LIMITS.discoveryEntries) {
      throw new StatorError('overloaded', `discovery holds ${LIMITS.discoveryEntries} entries, its limit`);
    }
    if (known !== undefined && known.owner !== owner) this.#disown(known.owner, key);
    this.#entries.set(key, { value, owner });
    const keys = this.#keysOf.get(owner);
    if (keys === undefined) this.#keysOf.set(owner, new Set([key]));
    else keys.add(key);
    if (known?.value !== value) this.#changed({ kind: 'added', key, value });
  }

  /** Only its owner's. */
  delete(owner: string, key: string): void {
    if (this.#entries.get(key)?.owner !== owner) return;
    this.#entries.delete(key);
    this.#disown(owner, key);
    this.#changed({ kind: 'removed', key });
  }

  /** All that an owner says; what it said before and does not say any more is gone. */
  replace(owner: string, entries: readonly DiscoveryEntry[]): void {
    const keys = new Set(entries.map(({ key }) => key));
    for (const key of [...(this.#keysOf.get(owner) ?? [])]) if (!keys.has(key)) this.delete(owner, key);
    for (const entry of entries) this.put(owner, entry);
  }

  /** In the order of the keys. */
  list(prefix: string): DiscoveryEntry[] {
    const found: DiscoveryEntry[] = [];
    for (const [key, { value }] of this.#entries) if (key.startsWith(prefix)) found.push({ key, value });
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Every change from now on; the result ends it. */
  watch(watcher: TableWatcher): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  #disown(owner: string, key: string): void {
    const keys = this.#keysOf.get(owner);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(owner);
  }

  #changed(change: TableChange): void {
    this.#version++;
    for (const watcher of [...this.#watchers]) watcher(change);
  }
}
