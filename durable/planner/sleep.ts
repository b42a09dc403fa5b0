/**
 * Sleep: when a fleet that may go to zero does, and when it does not. Who predicts demand sees a fraction of a worker long
 * after the last request, or zero in the middle of a pause; here it is said in plain words: after the keep-alive time without a
 * request all workers go, and before that one of each role stays. Time is counted in looks, like all of the planner's.
 */

import * as z from 'zod';
import { type Counts, type PlannedRole, rolesOf } from './fleet.ts';
import type { PlannerConfig } from './planner-config.ts';
import type { Proposal } from './propose/proposal.ts';

export const IDLENESS = z.object({
  /** Requests that had come at the last look; null: nobody has looked. */
  arrived: z.number().nullable(),
  /** Looks in a row that saw nothing new and nothing under way. */
  looks: z.number(),
});

export type Idleness = z.infer<typeof IDLENESS>;

export const NOT_IDLE: Idleness = { arrived: null, looks: 0 };

const ACTIVITY = z.object({
  arrived: z.number(),
  waiting: z.number(),
  inFlight: z.number().default(0),
});

/** After a look at this reading; one that says nothing changes nothing. */
export function idleAfter({ arrived, looks }: Idleness, reading: unknown): Idleness {
  const parsed = ACTIVITY.safeParse(reading);
  if (!parsed.success) return { arrived, looks };
  const { data } = parsed;
  const isBusy = data.waiting > 0 || data.inFlight > 0 || data.arrived !== arrived;
  return { arrived: data.arrived, looks: isBusy ? 0 : looks + 1 };
}

/** May all workers that answer requests go? */
export const mayGoToZero = ({ roles }: PlannerConfig): boolean => (roles.worker ?? roles.decode)?.min === 0;

/** What becomes of a proposal; `sleeps`: however recently more were wanted. */
export function withKeepAlive(
  proposal: Proposal,
  { idleMs, current, config }: { idleMs: number; current: Counts; config: PlannerConfig },
): { proposal: Proposal; sleeps: boolean } {
  const { keepAliveMs, roles } = config;
  if (keepAliveMs === undefined || !mayGoToZero(config)) return { proposal, sleeps: false };
  const counts: Partial<Record<PlannedRole, number>> = {};
  if (idleMs >= keepAliveMs) {
    for (const role of rolesOf(roles)) counts[role] = roles[role]!.min;
    const isAsleep = rolesOf(counts).every((role) => (current[role] ?? 0) <= counts[role]!);
    const because = isAsleep
      ? 'asleep: nothing came'
      : `nothing came for ${idleMs / 1_000} s, the keep-alive is ${keepAliveMs / 1_000} s`;
    return { proposal: { kind: 'counts', counts, because }, sleeps: true };
  }
  if (proposal.kind !== 'counts') return { proposal, sleeps: false };
  let kept = false;
  for (const role of rolesOf(proposal.counts)) {
    const stays = proposal.counts[role] === 0 && (current[role] ?? 0) > 0;
    counts[role] = stays ? 1 : proposal.counts[role]!;
    kept ||= stays;
  }
  if (!kept) return { proposal, sleeps: false };
  const because = `${proposal.because}; kept alive: ${idleMs / 1_000} of ${keepAliveMs / 1_000} s without a request`;
  return { proposal: { kind: 'counts', counts, because }, sleeps: false };
}
