/**
 * One GPU budget, divided among namespaces. Pure, and the same for the same claims in any order:
 *  1. every namespace's least fleet: first what they have of it already, then the lower priority numbers;
 *  2. what is left goes worker by worker, again the lower numbers first, and among equals to whoever has the fewest GPUs for its
 *     weight (max-min fairness), so that weights 2:1 get GPUs 2:1 as long as both want more;
 *  3. inside a namespace to the role that has the smallest share of what it wants, so that prefill and decode grow together.
 */
import type { PlannedRole } from '../planner/fleet.ts';
import type { ClaimedRole } from './rpc.ts';

export interface Share {
  readonly namespace: string;
  /** The lower, the sooner. */
  readonly priority: number;
  readonly weight: number;
  readonly roles: readonly ClaimedRole[];
  /** What it has been granted. */
  readonly held: Allotted;
}

export type Allotted = Partial<Record<PlannedRole, number>>;

interface Filling {
  share: Share;
  counts: Allotted;
  gpus: number;
}

/** Workers by namespace and role; together never more GPUs than `budgetGpus`. */
export function allocate(shares: readonly Share[], budgetGpus: number): Map<string, Allotted> {
  const fillings = [...shares].sort(before).map((share): Filling => ({ share, counts: {}, gpus: 0 }));
  let left = budgetGpus;
  const give = (filling: Filling, { role, gpusPerWorker }: ClaimedRole): void => {
    filling.counts[role] = (filling.counts[role] ?? 0) + 1;
    filling.gpus += gpusPerWorker;
    left -= gpusPerWorker;
  };
  const fillLeast = (filling: Filling, isHeld: boolean): void => {
    for (const claimed of filling.share.roles) {
      const { role, gpusPerWorker } = claimed;
      const least = isHeld ? Math.min(filling.share.held[role] ?? 0, claimed.min) : claimed.min;
      filling.counts[role] ??= 0;
      while (filling.counts[role]! < least && gpusPerWorker <= left) give(filling, claimed);
    }
  };
  for (const isHeld of [true, false]) {
    for (const filling of fillings) fillLeast(filling, isHeld);
  }
  for (;;) {
    let chosen: Filling | null = null;
    let chosenRole: ClaimedRole | null = null;
    for (const filling of fillings) {
      const role = hungriest(filling, left);
      if (role === null || (chosen !== null && !isSooner(filling, chosen))) continue;
      [chosen, chosenRole] = [filling, role];
    }
    if (chosen === null || chosenRole === null) break;
    give(chosen, chosenRole);
  }
  return new Map(fillings.map(({ share, counts }) => [share.namespace, counts]));
}

const before = (a: Share, b: Share): number =>
  a.priority - b.priority || (a.namespace < b.namespace ? -1 : Number(a.namespace > b.namespace));

/** Equals stay in the order of their names. */
function isSooner(one: Filling, other: Filling): boolean {
  if (one.share.priority !== other.share.priority) return one.share.priority < other.share.priority;
  return one.gpus / one.share.weight < other.gpus / other.share.weight;
}

/** Of the roles that want a worker more and have room for it. */
function hungriest({ share, counts }: Filling, leftGpus: number): ClaimedRole | null {
  let found: ClaimedRole | null = null;
  for (const claimed of share.roles) {
    const has = counts[claimed.role] ?? 0;
    if (has >= claimed.wanted || claimed.gpusPerWorker > leftGpus) continue;
    if (found === null || has / claimed.wanted < (counts[found.role] ?? 0) / found.wanted) found = claimed;
  }
  return found;
}

/** GPUs of these workers. */
export const gpusOf = (roles: readonly ClaimedRole[], counts: Allotted): number =>
  roles.reduce((sum, { role, gpusPerWorker }) => sum + (counts[role] ?? 0) * gpusPerWorker, 0);
