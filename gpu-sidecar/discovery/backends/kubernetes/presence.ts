/**
 * Which entries count, from what Kubernetes has. Pure.
 *
 * Those of a Pod count while an EndpointSlice says that it is ready: kubelet's probe is the lease. Those of a process outside of
 * Pods count while its Lease is renewed. A Lease is judged by when this reader has seen it change, because clocks differ; only at first
 * sight by the time that it says.
 */

import type { DiscoveryEntry } from '../../discovery.ts';
import type { EndpointSlice, Lease, WorkerMetadata } from './kube-objects.ts';

export interface ClusterView {
  metadata: Iterable<WorkerMetadata>;
  slices: Iterable<EndpointSlice>;
  leases: Iterable<Lease>;
}

/** In the order of their keys. */
export function presentEntries(view: ClusterView, isExpired: (lease: Lease) => boolean): DiscoveryEntry[] {
  const alive = new Set<string>();
  for (const { endpoints } of view.slices) {
    for (const { conditions, targetRef } of endpoints ?? []) {
      // No word means ready: that is how Kubernetes defines it.
      const isReady = conditions?.ready ?? true;
      if (isReady && targetRef?.kind === 'Pod' && targetRef.uid !== undefined) alive.add(targetRef.uid);
    }
  }
  for (const lease of view.leases) if (!isExpired(lease)) alive.add(lease.metadata.uid);
  const entries = new Map<string, string>();
  for (const { metadata, spec } of view.metadata) {
    // By the owner's uid, so that the next Pod of this name does not speak for this one.
    if (!metadata.ownerReferences.some(({ uid }) => alive.has(uid))) continue;
    for (const [key, value] of Object.entries(spec.entries)) entries.set(key, value);
  }
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => ({ key, value }));
}

interface SeenLease {
  renewTime: string;
  changedMs: number;
  durationMs: number;
}

/** When Leases changed, as this reader saw it. */
export class LeaseWatch {
  readonly #seen = new Map<string, SeenLease>();
  /** Leases that ran out, as they were. */
  readonly #expired = new Map<string, string>();

  /** Each Lease as it is now; those not among them are forgotten. */
  see(leases: Iterable<Lease>, nowMs: number): void {
    const there = new Set<string>();
    for (const { metadata, spec } of leases) {
      there.add(metadata.uid);
      const before = this.#seen.get(metadata.uid);
      if (before?.renewTime === spec.renewTime) continue;
      const durationMs = 1_000 * spec.leaseDurationSeconds;
      const saysMs = Date.parse(spec.renewTime);
      const changedMs = before === undefined && saysMs < nowMs ? saysMs : nowMs;
      this.#seen.set(metadata.uid, { renewTime: spec.renewTime, changedMs, durationMs });
      if (nowMs - changedMs > durationMs) this.#expired.set(metadata.uid, spec.renewTime);
    }
    for (const uid of [...this.#seen.keys()]) {
      if (there.has(uid)) continue;
      this.#seen.delete(uid);
      this.#expired.delete(uid);
    }
  }

  /** The server was away: nobody could renew, so all begin anew. */
  extend(nowMs: number): void {
    for (const seen of this.#seen.values()) seen.changedMs = Math.max(seen.changedMs, nowMs);
  }

  isExpired = ({ metadata, spec }: Lease): boolean => this.#expired.get(metadata.uid) === spec.renewTime;

  /** Marks what has run out. Only when the Leases that were seen are fresh from the server. */
  expire(nowMs: number): void {
    for (const [uid, { changedMs, durationMs, renewTime }] of this.#seen)
      if (nowMs - changedMs > durationMs) this.#expired.set(uid, renewTime);
  }

  /** When the next one runs out; null: none does. */
  nextMs(): number | null {
    let next: number | null = null;
    for (const [uid, { changedMs, durationMs, renewTime }] of this.#seen) {
      if (this.#expired.get(uid) === renewTime) continue;
      next = Math.min(next ?? Number.POSITIVE_INFINITY, changedMs + durationMs);
    }
    return next;
  }
}
