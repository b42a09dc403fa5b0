/**
 * The directory's core: which namespace published which models, and since when.
 *
 * Invariants: a version is never used twice, not even after a restart (versions start at the clock and change more seldom
 * than every millisecond), so "nothing newer than version v" is true for every reader. A namespace replaces all it said before; one that was silent for
 * `LIMITS.namespaceLeaseMs` is forgotten, because its Router object repeats itself far more often while it has workers.
 * After a restart the directory is empty until the Router objects repeat themselves. Memory only.
 */

import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { DirectorySnapshot, ModelEntry } from './rpc.ts';

interface Published {
  models: ModelEntry[];
  /** The same as text, to see whether anything changed. */
  text: string;
  heardMs: number;
}

export class DirectoryCore {
  readonly #namespaces = new Map<string, Published>();
  #snapshot: DirectorySnapshot;

  readonly #forgotten: (namespace: string) => void;

  /** `forgotten` hears of a namespace that was silent for too long. */
  constructor(nowMs: number, forgotten: (namespace: string) => void = () => {}) {
    this.#forgotten = forgotten;
    this.#snapshot = { version: nowMs, models: [] };
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
      if (this.#namespaces.delete(namespace)) this.#changed();
      return this.#snapshot.version;
    }
    if (!known && this.#namespaces.size >= LIMITS.namespaces) {
      throw new StatorError('overloaded', `the directory holds ${LIMITS.namespaces} namespaces, its limit`);
    }
    this.#namespaces.set(namespace, { models, text, heardMs: nowMs });
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
    for (const [namespace, { heardMs }] of this.#namespaces) {
      if (nowMs - heardMs <= LIMITS.namespaceLeaseMs) continue;
      this.#namespaces.delete(namespace);
      this.#forgotten(namespace);
      gone = true;
    }
    if (gone) this.#changed();
  }

  #changed(): void {
    const models = [...this.#namespaces.values()].flatMap((published) => published.models);
    this.#snapshot = { version: this.#snapshot.version + 1, models };
  }
}
