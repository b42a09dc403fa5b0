/**
 * What the planner remembers and has decided: its state, the newest order and how it stands, and the log, on disk before anybody
 * is told. A decision can be made again from the log: from a start (the state before it, its configuration and profile)
 * and the inputs of all that follow.
 */

import { LIMITS } from '../runtime/limits.ts';
import { EXECUTION, type Execution, newExecution } from './execute.ts';
import { sameCounts, settledCounts } from './fleet.ts';
import type { Decision, PlannerInput } from './planner.ts';
import type { PlannerConfig } from './planner-config.ts';
import { newPlannerState, PLANNER_STATE, type PlannerState } from './planner-state.ts';
import type { Demand } from './propose/proposal.ts';
import type { DecisionPage, DecisionQuery, DecisionRecord, LogStart } from './rpc.ts';
import type { SqlDisk } from './sql-disk.ts';

interface Decided {
  state: PlannerState;
  decision: Decision;
  /** The order before, as it stands now. */
  execution: Execution | null;
}

/** What decisions are made with. */
interface Basis {
  config: PlannerConfig;
  /** As it was given, before it was a Profile. */
  profile: unknown;
}

export class DecisionLog {
  readonly #disk: SqlDisk;
  readonly #basis: Basis | null;
  #state: PlannerState;
  #execution: Execution | null;
  #latest: DecisionRecord | null;
  #demand: Demand | null;
  /** Decisions until the next start; the first one of a life is a start. */
  #untilStart = 0;

  constructor(disk: SqlDisk, basis: Basis | null) {
    this.#disk = disk;
    this.#basis = basis;
    const state = PLANNER_STATE.safeParse(disk.value('state'));
    const execution = EXECUTION.safeParse(disk.value('execution'));
    this.#state = state.success ? state.data : newPlannerState();
    this.#execution = execution.success ? execution.data : null;
    this.#latest = disk.decisions({ limit: 1 })[0] ?? null;
    this.#demand = this.#latest?.decision.demand ?? null;
  }

  get state(): PlannerState {
    return this.#state;
  }

  /** The newest order; null: there was none. */
  get execution(): Execution | null {
    return this.#execution;
  }

  get latest(): DecisionRecord | null {
    return this.#latest;
  }

  /** As it was predicted last. */
  get demand(): Demand | null {
    return this.#demand;
  }

  /** Writes down a decision, and its order if it acts: that one is to be given then. */
  add(kind: DecisionRecord['kind'], input: PlannerInput, { state, decision, execution }: Decided): void {
    const id = this.#disk.lastDecision + 1;
    const { config, profile } = this.#basis!;
    const wished = !sameCounts(decision.counts, settledCounts(input.fleet));
    const outcome = decision.acts ? 'pending' : wished && config.advisory ? 'advised' : 'kept';
    const record: DecisionRecord = { id, kind, input, decision, outcome, why: '' };
    this.#disk.together(() => {
      const start: LogStart | null =
        this.#untilStart > 0
          ? null
          : { state: this.#state, config, profile: this.#disk.keepProfile(profile) };
      this.#disk.addDecision(record, start);
      this.#disk.setValue('state', state);
      this.#follow(execution);
      if (decision.acts) this.#order(newExecution(id, decision.counts, state.looks, input.nowMs));
    });
    this.#untilStart = this.#untilStart > 0 ? this.#untilStart - 1 : LIMITS.plannerStartEvery;
    this.#state = state;
    this.#latest = record;
    this.#demand = decision.demand ?? this.#demand;
  }

  /** The newest order stands otherwise than before. */
  executed(execution: Execution): void {
    this.#disk.together(() => this.#follow(execution));
  }

  page({ replay, ...query }: DecisionQuery): DecisionPage {
    const decisions = this.#disk.decisions(query);
    const starts: Record<number, LogStart> = {};
    const profiles: Record<number, unknown> = {};
    if (replay) {
      for (const { id } of decisions) {
        const start = this.#disk.start(id);
        if (start === null) continue;
        starts[id] = start;
        profiles[start.profile] ??= this.#disk.profile(start.profile);
      }
    }
    return { decisions, starts, profiles };
  }

  #order(execution: Execution): void {
    const before = this.#execution;
    if (before?.outcome === 'pending') {
      this.#disk.setOutcome({ id: before.id, outcome: 'superseded', why: before.why });
    }
    this.#execution = execution;
    this.#disk.setValue('execution', execution);
  }

  #follow(execution: Execution | null): void {
    const before = this.#execution;
    if (execution === null || execution === before) return;
    this.#execution = execution;
    this.#disk.setValue('execution', execution);
    const isNews =
      before?.id !== execution.id || before.outcome !== execution.outcome || before.why !== execution.why;
    if (isNews) this.#disk.setOutcome(execution);
  }
}
