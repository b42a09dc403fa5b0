/**
 * What planners ask the GlobalPlanner object (one per deployment): how many workers their namespace may have of the one GPU
 * budget of all (`--max-total-gpus`). A grant lasts as long as its lease; whoever asks again renews it.
 */
import type { Counts, PlannedRole } from '../planner/fleet.ts';

/** Name of the one GlobalPlanner object (`idFromName`). */
export const GLOBAL_PLANNER_NAME = 'global-planner';

/** What a namespace wants of one role. */
export interface ClaimedRole {
  readonly role: PlannedRole;
  readonly min: number;
  readonly wanted: number;
  readonly gpusPerWorker: number;
}

export interface Claim {
  readonly namespace: string;
  readonly roles: readonly ClaimedRole[];
  /** Workers that hold GPUs now, those that start or drain among them. */
  readonly running: Counts;
  /** How long it may be silent before its grant is for others. */
  readonly leaseMs: number;
  /** Its grant turns at most once in this time. */
  readonly intervalMs: number;
}

export interface Grant {
  readonly counts: Counts;
  /** Why it is less than was wanted; empty: it is not. */
  readonly why: string;
}

export interface Refused {
  readonly refused: string;
}

export interface GlobalPlannerStatus {
  /** null: no limit. */
  maxTotalGpus: number | null;
  /** GPUs of all grants together, and of all workers that were told of. */
  grantedGpus: number;
  runningGpus: number;
  namespaces: {
    namespace: string;
    priority: number;
    weight: number;
    wanted: Counts;
    granted: Counts;
    running: Counts;
    leaseEndsMs: number;
  }[];
}

export interface GlobalPlannerRpc {
  /** A namespace that may not ask, or asks for nonsense, is refused. */
  ask(claim: Claim): Grant | Refused;
  status(): GlobalPlannerStatus;
}
