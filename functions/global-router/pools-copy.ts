/**
 * The isolate's copy of the global router's configuration, and what this isolate counted since it last told.
 *
 * One request at a time reads it again when it is older than `LIMITS.poolsTtlMs`, while the others go on with the copy they
 * have; that call brings the counts along. Cost when fresh: a comparison. Values only, never promises (directory-copy.ts).
 */
import type {
  GlobalRouterConfig,
  GlobalRouterSnapshot,
  PoolChoice,
  PoolCount,
} from '../../durable/global-router/rpc.ts';
import { type ErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';

export type ReadPools = (knownVersion: number, counts: PoolCount[]) => Promise<GlobalRouterSnapshot | null>;

const NEVER = Number.NEGATIVE_INFINITY;

export class PoolsCopy {
  #snapshot: GlobalRouterSnapshot | null = null;
  #readMs = NEVER;
  #refreshingMs = NEVER;
  #counts = new Map<string, PoolCount>();

  /** The configuration; null: there is no global router. Throws `worker_unavailable` where none was ever read. */
  current(read: ReadPools, nowMs: number): GlobalRouterConfig | null | Promise<GlobalRouterConfig | null> {
    const { poolsTtlMs } = LIMITS;
    const fresh = nowMs - this.#readMs < poolsTtlMs || nowMs - this.#refreshingMs < poolsTtlMs;
    if (this.#snapshot !== null && fresh) return this.#snapshot.config;
    return this.refresh(read, nowMs);
  }

  /** The same, asked for now: what was counted is told. */
  async refresh(read: ReadPools, nowMs: number): Promise<GlobalRouterConfig | null> {
    this.#refreshingMs = nowMs;
    const counts = [...this.#counts.values()];
    this.#counts = new Map();
    try {
      const newer = await read(this.#snapshot?.version ?? -1, counts);
      if (newer !== null) this.#snapshot = newer;
      this.#readMs = nowMs;
    } catch (cause) {
      for (const { pool, what, count } of counts) this.#add(pool, what, count);
      if (this.#snapshot === null) {
        throw new StatorError('worker_unavailable', 'The global router does not answer.', { cause });
      }
    } finally {
      this.#refreshingMs = NEVER;
    }
    return this.#snapshot?.config ?? null;
  }

  given(pool: string, why: PoolChoice): void {
    this.#add(pool, why, 1);
  }

  failed(pool: string, code: ErrorCode): void {
    this.#add(pool, `failed:${code}`, 1);
  }

  #add(pool: string, what: string, count: number): void {
    const key = `${pool}\u0000${what}`;
    const known = this.#counts.get(key);
    this.#counts.set(key, { pool, what, count: (known?.count ?? 0) + count });
  }
}

/** The copy of this isolate. */
export const poolsCopy = new PoolsCopy();
