/**
 * The directory's core: which namespace published which models, and since when.
 *
 * Invariants: a version is never used twice, not even after a restart (versions start at the clock and change more seldom
 * than every millisecond), so "nothing newer than version v" is true for every reader. A namespace replaces all it said before; one that was silent for
 * `LIMITS.namespaceLeaseMs` is forgotten, because its Router object repeats itself far more often while it has workers.
 * After a restart the directory has the models that may sleep, as sleeping, until the Router objects repeat themselves: only
 * those are kept on disk, and written when one comes or changes. A namespace in which all sleeps has nobody who would repeat it.
 */

import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { DirectorySnapshot, ModelEntry } from './rpc.ts';

/** Models that may sleep, by namespace; a test has one in memory. */
export interface SleepersDisk {
  load(): Map<string, ModelEntry[]>;
  /** An empty list removes the namespace. */
  save(namespace: string, models: readonly ModelEntry[]): void;
}

interface Published {
  models: ModelEntry[];
  /** The same as text, to see whether anything changed. */
  text: string;
  heardMs: number;
  /** What is on disk of it. */
  kept: string;
}

const NOTHING_KEPT = '[]';

export class DirectoryCore {
  readonly #namespaces = new Map<string, Published>();
  readonly #disk: SleepersDisk | null;
  #snapshot: DirectorySnapshot;

  readonly #silent: (namespace: string) => void;

  /** `silent` hears of a namespace that has said nothing for too long. */
  constructor(
    nowMs: number,
    {
      disk = null,
      silent = () => {},
    }: { disk?: SleepersDisk | null; silent?: (namespace: string) => void } = {},
  ) {
    this.#disk = disk;
    this.#silent = silent;
    for (const [namespace, models] of disk?.load() ?? []) {
      const text = JSON.stringify(models);
      this.#namespaces.set(namespace, { models, text, heardMs: nowMs, kept: text });
    }
    this.#snapshot = { version: nowMs, models: [] };
    this.#changed();
  }

  /** Replaces what a namespace published; an empty list removes it. Returns the version that includes it. */
  publish(namespace: string, models: ModelEntry[], nowMs: number): number {
    const known = this.#namespaces.get(namespace);
    const text = JSON.stringify(models);
    if (known?.text === text) {
      known.heardMs = nowMs;
      return this.#snapshot.version;
    }
    if (models.length === 0) {
      this.#keep(namespace, [], known?.kept);
      if (this.#namespaces.delete(namespace)) this.#changed();
      return this.#snapshot.version;
    }
    if (!known && this.#namespaces.size >= LIMITS.namespaces) {
      throw new StatorError('overloaded', `the directory holds ${LIMITS.namespaces} namespaces, its limit`);
    }
    const kept = this.#keep(namespace, models.filter(({ maySleep }) => maySleep).map(asleep), known?.kept);
    this.#namespaces.set(namespace, { models, text, heardMs: nowMs, kept });
    this.#changed();
    return this.#snapshot.version;
  }

  /** Everything, or null when `knownVersion` is current. */
  read(knownVersion: number, nowMs: number): DirectorySnapshot | null {
    this.forgetSilent(nowMs);
    return knownVersion === this.#snapshot.version ? null : this.#snapshot;
  }

  forgetSilent(nowMs: number): void {
    let gone = false;
    for (const [namespace, { heardMs, models }] of this.#namespaces) {
      if (nowMs - heardMs <= LIMITS.namespaceLeaseMs || models.every(({ sleeping }) => sleeping)) continue;
      this.#silent(namespace);
      // Its Router object died with its workers; what may sleep can be woken all the same.
      const sleepers = models.filter(({ maySleep }) => maySleep).map(asleep);
      if (sleepers.length > 0) {
        this.publish(namespace, sleepers, nowMs);
        continue;
      }
      this.#namespaces.delete(namespace);
      gone = true;
    }
    if (gone) this.#changed();
  }

  /** Returns what is on disk now. */
  #keep(namespace: string, models: readonly ModelEntry[], before = NOTHING_KEPT): string {
    const text = JSON.stringify(models);
    if (text !== before) this.#disk?.save(namespace, models);
    return text;
  }

  #changed(): void {
    const models = [...this.#namespaces.values()].flatMap((published) => published.models);
    this.#snapshot = { version: this.#snapshot.version + 1, models };
  }
}

const asleep = (entry: ModelEntry): ModelEntry => {
  const { prefillOnly: _, ...rest } = entry;
  return { ...rest, sleeping: true, addresses: [], instances: [] };
};
