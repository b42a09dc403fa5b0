/**
 * Execute: what becomes of an order between two looks, by what the connector says. Nothing it says is believed without
 * bounds: figures are cut to what can be, an order that was not taken over is given again so many times and no more, one that
 * never ends is given up after the configured limit, counted in looks. Pure; the object makes the calls.
 */

import * as z from 'zod';
import { LIMITS } from '../runtime/limits.ts';
import type { Progress } from './connectors/connector.ts';
import {
  type Counts,
  type Fleet,
  PLANNED_ROLES,
  type PlannedRole,
  type RoleFleet,
  rolesOf,
} from './fleet.ts';
import { lookMsOf } from './planner.ts';
import type { PlannerConfig } from './planner-config.ts';

/** What a call gave within its time. */
export type Called<T> = { ok: true; value: T } | { ok: false; why: string };

const OUTCOMES = ['pending', 'done', 'failed', 'given_up', 'superseded'] as const;

export type Outcome = (typeof OUTCOMES)[number];

/** The newest order. */
export const EXECUTION = z.object({
  /** Of the decision, too. */
  id: z.number(),
  counts: z.partialRecord(z.enum(PLANNED_ROLES), z.number()),
  sinceLook: z.number(),
  issuedMs: z.number(),
  /** Times that it was given to the connector, and whether it was taken. */
  tries: z.number(),
  taken: z.boolean(),
  outcome: z.enum(OUTCOMES),
  why: z.string(),
});

export type Execution = z.infer<typeof EXECUTION>;

export const newExecution = (id: number, counts: Counts, sinceLook: number, issuedMs: number): Execution => ({
  id,
  counts: { ...counts },
  sinceLook,
  issuedMs,
  tries: 0,
  taken: false,
  outcome: 'pending',
  why: '',
});

/** The order was given to the connector. */
export function given(execution: Execution, called: Called<void>): Execution {
  const { tries } = execution;
  if (called.ok) return { ...execution, tries: tries + 1, taken: true, why: '' };
  return { ...execution, tries: tries + 1, why: `order: ${called.why}` };
}

export interface Followed {
  execution: Execution | null;
  /** For the look: may it act? */
  action: 'under_way' | 'over';
  /** The order must be given to the connector, again. */
  resend: boolean;
}

/** How the newest order stands. `looks`: taken so far. */
export function follow(
  execution: Execution | null,
  progress: Called<Progress>,
  { looks, config }: { looks: number; config: PlannerConfig },
): Followed {
  if (execution === null || execution.outcome !== 'pending') {
    return { execution, action: 'over', resend: false };
  }
  const over = (outcome: Outcome, why: string): Followed => ({
    execution: { ...execution, outcome, why },
    action: 'over',
    resend: false,
  });
  if ((looks - execution.sinceLook) * lookMsOf(config) >= config.actionLimitMs) {
    return over('given_up', execution.why === '' ? 'it did not end' : execution.why);
  }
  const again = (why: string): Followed => {
    if (execution.tries >= LIMITS.plannerOrderTries) return over('failed', why);
    return { execution: { ...execution, taken: false, why }, action: 'under_way', resend: true };
  };
  if (!execution.taken) return again(execution.why);
  if (!progress.ok) {
    return {
      execution: { ...execution, why: `progress: ${progress.why}` },
      action: 'under_way',
      resend: false,
    };
  }
  switch (kindOf(progress.value)) {
    case 'done':
      return over('done', '');
    case 'failed':
      return over('failed', whyOf(progress.value));
    case 'pending':
      return { execution: { ...execution, why: '' }, action: 'under_way', resend: false };
    case 'none':
      return again('the connector knows nothing of it');
    default:
      return {
        execution: { ...execution, why: 'progress: no such answer' },
        action: 'under_way',
        resend: false,
      };
  }
}

const kindOf = (progress: unknown): string => String((progress as Progress | null)?.kind);

function whyOf(progress: Progress): string {
  const why = progress.kind === 'failed' ? String(progress.why) : '';
  return why.slice(0, LIMITS.plannerWhyLength);
}

/** The fleet with exactly the planned roles, each figure a whole number that can be; `last` stands in for what is none. */
export function soundFleet(raw: unknown, roles: PlannerConfig['roles'], last: Fleet | null): Fleet {
  const fleet: Partial<Record<PlannedRole, RoleFleet>> = {};
  for (const role of rolesOf(roles)) {
    const told = (raw as Fleet | null)?.[role];
    const before = last?.[role] ?? { ready: 0, starting: 0, draining: 0 };
    fleet[role] = {
      ready: whole(told?.ready, before.ready),
      starting: whole(told?.starting, before.starting),
      draining: whole(told?.draining, before.draining),
    };
  }
  return fleet;
}

const whole = (told: unknown, instead: number): number =>
  typeof told === 'number' && Number.isFinite(told)
    ? Math.min(Math.max(0, Math.round(told)), LIMITS.workers)
    : instead;
