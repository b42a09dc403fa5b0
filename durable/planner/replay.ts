/**
 * Decisions made again from the log: from each start the same states, inputs and configuration must give the same decisions. One
 * that differs was made by another version of the planner, or its record was changed. Pure.
 */

import { StatorError } from '../runtime/errors.ts';
import { look, type PlannerParts } from './planner.ts';
import { plannerConfig } from './planner-config.ts';
import { PLANNER_STATE, type PlannerState } from './planner-state.ts';
import { Profile } from './profile.ts';
import type { DecisionPage, DecisionRecord, LogStart } from './rpc.ts';
import { wake } from './wake.ts';

export interface Difference {
  id: number;
  was: unknown;
  is: unknown;
}

/** What replaying needs of a record. */
export type ReplayedRecord = Pick<DecisionRecord, 'id' | 'kind' | 'input' | 'decision'>;

export type ReplayPage = Pick<DecisionPage, 'starts' | 'profiles'> & {
  decisions: readonly ReplayedRecord[];
};

export class DecisionReplay {
  /** Decisions that were made again. */
  replayed = 0;
  /** Those before the first start. */
  skipped = 0;
  readonly different: Difference[] = [];
  #at: { id: number; state: PlannerState; parts: PlannerParts } | null = null;

  /** The next page of the log, in rising order. Throws `invalid_request` when a start cannot be read. */
  take({ decisions, starts, profiles }: ReplayPage): void {
    for (const record of decisions) {
      const start = starts[record.id];
      if (start !== undefined) this.#start(record.id, start, profiles[start.profile]);
      // Decisions between were forgotten meanwhile.
      else if (this.#at !== null && this.#at.id !== record.id) this.#at = null;
      if (this.#at === null) this.skipped++;
      else this.#decide(record, this.#at);
    }
  }

  #start(id: number, { state, config }: LogStart, profile: unknown): void {
    const parsed = PLANNER_STATE.safeParse(state);
    if (!parsed.success)
      throw new StatorError('invalid_request', `decision ${id} has a state of another version`);
    const parts = { config: plannerConfig(config), profile: new Profile(profile) };
    this.#at = { id, state: parsed.data, parts };
  }

  #decide(
    { id, kind, input, decision }: ReplayedRecord,
    { state, parts }: { state: PlannerState; parts: PlannerParts },
  ): void {
    const again = kind === 'look' ? look(state, input, parts) : wake(state, input, parts.config);
    this.replayed++;
    const is = asKept(again?.decision ?? null);
    const was = asKept(decision);
    if (JSON.stringify(sorted(is)) !== JSON.stringify(sorted(was))) this.different.push({ id, was, is });
    this.#at = again === null ? null : { id: id + 1, state: PLANNER_STATE.parse(asKept(again.state)), parts };
  }
}

const asKept = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Fields in one order: what came over a wire may have another. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([name, field]) => [name, sorted(field)]));
}
