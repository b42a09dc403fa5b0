/**
 * The isolate's copy of the directory: which models exist and where.
 *
 * Read again when older than `LIMITS.directoryTtlMs`, or when a routing decision carried a newer version. One request
 * at a time refreshes it while the others go on with the copy they have. It holds values, never promises: a promise
 * with I/O belongs to the request that made it. Cost when fresh: one Map look-up.
 */
import type { DirectorySnapshot, ModelEntry } from '../../durable/directory/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { nearNames } from './near-names.ts';

/** Asks the Directory object for everything newer than a version. */
export type ReadDirectory = (knownVersion: number) => Promise<DirectorySnapshot | null>;

const NEVER = Number.NEGATIVE_INFINITY;

export class DirectoryCopy {
  #snapshot: DirectorySnapshot | null = null;
  #byName: ReadonlyMap<string, readonly ModelEntry[]> = new Map();
  #readMs = NEVER;
  #refreshingMs = NEVER;

  /** The entry of a name or alias. Throws `model_not_found` with near names, after a fresh read. */
  find(name: string, read: ReadDirectory, nowMs: number): ModelEntry | Promise<ModelEntry> {
    if (this.#isUsable(nowMs)) {
      const entry = this.#byName.get(name)?.[0];
      if (entry !== undefined) return entry;
    }
    return this.#findAfresh(name, read, nowMs);
  }

  /** What each namespace that serves it says of a name or alias, from this copy; the first is what `find` gives. */
  entries(name: string): readonly ModelEntry[] {
    return this.#byName.get(name) ?? [];
  }

  /** All models, at most `LIMITS.directoryTtlMs` old. */
  async models(read: ReadDirectory, nowMs: number): Promise<readonly ModelEntry[]> {
    if (!this.#isUsable(nowMs)) await this.#refresh(read, nowMs);
    return this.#snapshot?.models ?? [];
  }

  /** What a routing decision said about the directory's version. */
  noteVersion(version: number): void {
    if (this.#snapshot !== null && version > this.#snapshot.version) this.#readMs = NEVER;
  }

  #isUsable(nowMs: number): boolean {
    if (this.#snapshot === null) return false;
    return nowMs - this.#readMs < LIMITS.directoryTtlMs || nowMs - this.#refreshingMs < LIMITS.directoryTtlMs;
  }

  async #findAfresh(name: string, read: ReadDirectory, nowMs: number): Promise<ModelEntry> {
    await this.#refresh(read, nowMs);
    const entry = this.#byName.get(name)?.[0];
    if (entry !== undefined) return entry;
    throw modelNotFound(name, this.#byName.keys());
  }

  async #refresh(read: ReadDirectory, nowMs: number): Promise<void> {
    this.#refreshingMs = nowMs;
    try {
      const newer = await read(this.#snapshot?.version ?? -1);
      if (newer !== null) this.#replace(newer);
      this.#readMs = nowMs;
    } catch (cause) {
      if (this.#snapshot !== null) return;
      throw new StatorError('worker_unavailable', 'The directory of models does not answer.', { cause });
    } finally {
      this.#refreshingMs = NEVER;
    }
  }

  #replace(snapshot: DirectorySnapshot): void {
    const byName = new Map<string, ModelEntry[]>();
    for (const entry of snapshot.models) {
      for (const name of new Set([entry.name, ...entry.aliases])) {
        const known = byName.get(name);
        if (known === undefined) byName.set(name, [entry]);
        else known.push(entry);
      }
    }
    this.#snapshot = snapshot;
    this.#byName = byName;
  }
}

function modelNotFound(name: string, known: Iterable<string>): StatorError {
  const near = nearNames(name, known);
  const hint = near.length === 0 ? '' : ` Did you mean ${near.map((n) => `'${n}'`).join(' or ')}?`;
  return new StatorError('model_not_found', `The model '${name}' does not exist.${hint}`, { param: 'model' });
}

/** The copy of this isolate. */
export const directoryCopy = new DirectoryCopy();
