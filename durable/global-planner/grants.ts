/**
 * The global planner's core: who has been granted what, and what an ask gets. Pure; the clock is an argument.
 *
 * Invariants: all grants together never exceed the budget, and a grant grows only into what others neither have been granted
 * nor still run, so GPUs are free before they are promised. A grant changes its direction at most once in its interval.
 * A namespace that is silent for longer than its lease has none any more; a clock that jumps back makes no lease longer than
 * it was asked for. A least fleet, once granted, is never taken back by others.
 */
import { type Counts, type PlannedRole, rolesOf } from '../planner/fleet.ts';
import { type Allotted, allocate, gpusOf, type Share } from './allocate.ts';
import type { Claim, GlobalPlannerStatus, Grant } from './rpc.ts';

type Direction = 'up' | 'down';

/** Data only, so that it can be stored as JSON. */
export interface Holding {
  claim: Claim;
  granted: Allotted;
  leaseEndsMs: number;
  /** By role: where its grant went last, and when it turned there. */
  turns: Partial<Record<PlannedRole, { direction: Direction; atMs: number }>>;
}

export interface GrantRules {
  /** null: no limit. */
  budgetGpus: number | null;
  priorityOf(namespace: string): number;
  weightOf(namespace: string): number;
}

export class Grants {
  readonly #rules: GrantRules;
  readonly #holdings = new Map<string, Holding>();

  constructor(rules: GrantRules, holdings: readonly Holding[] = []) {
    this.#rules = rules;
    for (const holding of holdings) this.#holdings.set(holding.claim.namespace, holding);
  }

  get holdings(): Holding[] {
    return [...this.#holdings.values()];
  }

  ask(claim: Claim, nowMs: number): Grant {
    this.expire(nowMs);
    const known = this.#sameSizes(claim);
    const holding: Holding = {
      claim,
      granted: known?.granted ?? {},
      leaseEndsMs: nowMs + claim.leaseMs,
      turns: known?.turns ?? {},
    };
    this.#holdings.set(claim.namespace, holding);
    const wanted = Object.fromEntries(claim.roles.map(({ role, wanted }) => [role, wanted]));
    const { budgetGpus } = this.#rules;
    const offered = budgetGpus === null ? wanted : this.#offer(holding, budgetGpus);
    const turning = claim.roles.some(({ role }) => turnsTooSoon(holding, role, offered[role] ?? 0, nowMs));
    // What it has is counted already, so keeping it breaks nothing.
    if (!turning) take(holding, offered, nowMs);
    const short = claim.roles.some(({ role, wanted }) => (holding.granted[role] ?? 0) < wanted);
    return { counts: holding.granted, why: short ? this.#reason(turning) : '' };
  }

  /** What it has; nothing where its workers have another size now, for which nothing was granted. */
  #sameSizes({ namespace, roles }: Claim): Holding | undefined {
    const known = this.#holdings.get(namespace);
    const sizes = (of: Claim['roles']) =>
      of.map(({ role, gpusPerWorker }) => `${role} ${gpusPerWorker}`).join();
    return known !== undefined && sizes(known.claim.roles) === sizes(roles) ? known : undefined;
  }

  /** Whoever was silent for too long has nothing any more. */
  expire(nowMs: number): void {
    for (const [namespace, holding] of this.#holdings) {
      holding.leaseEndsMs = Math.min(holding.leaseEndsMs, nowMs + holding.claim.leaseMs);
      if (holding.leaseEndsMs < nowMs) this.#holdings.delete(namespace);
    }
  }

  status(): GlobalPlannerStatus {
    const holdings = this.holdings;
    return {
      maxTotalGpus: this.#rules.budgetGpus,
      grantedGpus: holdings.reduce((sum, { claim, granted }) => sum + gpusOf(claim.roles, granted), 0),
      runningGpus: holdings.reduce((sum, { claim }) => sum + gpusOf(claim.roles, claim.running), 0),
      namespaces: holdings.map(({ claim, granted, leaseEndsMs }) => ({
        namespace: claim.namespace,
        priority: this.#rules.priorityOf(claim.namespace),
        weight: this.#rules.weightOf(claim.namespace),
        wanted: Object.fromEntries(claim.roles.map(({ role, wanted }) => [role, wanted])),
        granted,
        running: claim.running,
        leaseEndsMs,
      })),
    };
  }

  /** Its part of the budget, as far as that is free now. */
  #offer(holding: Holding, budgetGpus: number): Allotted {
    const { namespace, roles } = holding.claim;
    const entitled = allocate(
      this.holdings.map((one) => this.#shareOf(one)),
      budgetGpus,
    ).get(namespace)!;
    let free = budgetGpus;
    for (const { claim, granted } of this.#holdings.values()) {
      if (claim.namespace === namespace) continue;
      free -= Math.max(gpusOf(claim.roles, granted), gpusOf(claim.roles, claim.running));
    }
    // What it has is in the sum already, whatever others run beyond their grants.
    free = Math.max(free, gpusOf(roles, holding.granted));
    if (gpusOf(roles, entitled) <= free) return entitled;
    const within = roles.map((role) => ({ ...role, wanted: entitled[role.role] ?? 0 }));
    const share = { ...this.#shareOf(holding), roles: within };
    return allocate([share], free).get(namespace)!;
  }

  #shareOf({ claim: { namespace, roles }, granted }: Holding): Share {
    const { priorityOf, weightOf } = this.#rules;
    return { namespace, roles, held: granted, priority: priorityOf(namespace), weight: weightOf(namespace) };
  }

  #reason(turning: boolean): string {
    if (turning) return 'the grant has turned within this interval';
    return `${this.#rules.budgetGpus} GPUs are all there are for ${this.#holdings.size} namespaces`;
  }
}

const directionOf = (from: number, to: number): Direction | null =>
  from === to ? null : to > from ? 'up' : 'down';

function turnsTooSoon(
  { claim, granted, turns }: Holding,
  role: PlannedRole,
  to: number,
  nowMs: number,
): boolean {
  const direction = directionOf(granted[role] ?? 0, to);
  const last = turns[role];
  if (direction === null || last === undefined || last.direction === direction) return false;
  return Math.abs(nowMs - last.atMs) < claim.intervalMs;
}

function take(holding: Holding, offered: Counts, nowMs: number): void {
  for (const role of rolesOf(offered)) {
    const direction = directionOf(holding.granted[role] ?? 0, offered[role]!);
    if (direction !== null && holding.turns[role]?.direction !== direction) {
      holding.turns[role] = { direction, atMs: nowMs };
    }
  }
  holding.granted = { ...offered };
}
