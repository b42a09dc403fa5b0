/**
 * Sessions and the ranks that answered them last: the next turn of a conversation goes there, where its beginning is
 * cached, as long as that rank may serve it. A session is forgotten `ttlMs` after its last request, when it says that
 * it ends, or, past `LIMITS.affinitySessions`, when it is the one longest silent.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { RouteRequest } from './rpc.ts';
import type { Rank } from './workers.ts';

interface Binding {
  instanceId: string;
  dpRank: number;
  untilMs: number;
}

export class SessionAffinity {
  readonly #ttlMs: number;
  /** By model and session, the longest silent first. */
  readonly #bindings = new Map<string, Binding>();

  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
  }

  get size(): number {
    return this.#bindings.size;
  }

  /** The rank of the request's session, when it is among the candidates. */
  find(candidates: readonly Rank[], request: RouteRequest, nowMs: number): Rank | undefined {
    const key = keyOf(request);
    const binding = key === null ? undefined : this.#bindings.get(key);
    if (!binding || binding.untilMs <= nowMs) return undefined;
    return candidates.find(
      ({ worker, dpRank }) => worker.instanceId === binding.instanceId && dpRank === binding.dpRank,
    );
  }

  /** The request was given to a rank. */
  bind(rank: Rank, request: RouteRequest, nowMs: number): void {
    const key = keyOf(request);
    if (key === null) return;
    this.#bindings.delete(key);
    if (request.session!.final) return;
    const { worker, dpRank } = rank;
    this.#bindings.set(key, { instanceId: worker.instanceId, dpRank, untilMs: nowMs + this.#ttlMs });
    this.#evict(nowMs);
  }

  /** Every binding lives as long, so the order of use is that of expiry. */
  #evict(nowMs: number): void {
    for (const [key, { untilMs }] of this.#bindings) {
      if (untilMs > nowMs && this.#bindings.size <= LIMITS.affinitySessions) return;
      this.#bindings.delete(key);
    }
  }
}

const keyOf = ({ model, session, role }: RouteRequest): string | null =>
  session === undefined ? null : `${model}\u0000${role ?? ''}\u0000${session.id}`;
