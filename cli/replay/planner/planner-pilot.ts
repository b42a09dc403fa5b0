/** The planner at the wheel of a simulated fleet: it looks at the metrics as often as it wants, and what it decides is done. */

import { type Decision, look, lookMsOf, type PlannerParts } from '../../../durable/planner/planner.ts';
import { newPlannerState, type PlannerState } from '../../../durable/planner/planner-state.ts';
import type { Pilot, SimulationParts } from '../simulation.ts';
import { ElasticFleet } from './elastic-fleet.ts';
import { SimMetrics } from './sim-metrics.ts';

export class PlannerPilot implements Pilot {
  readonly decisions: Decision[] = [];
  readonly fleet: ElasticFleet;
  readonly #planner: PlannerParts;
  readonly #metrics: SimMetrics;
  #state: PlannerState = newPlannerState();
  #nextLookMs = 0;

  constructor(parts: SimulationParts, planner: PlannerParts) {
    const { config } = planner;
    const metrics = new SimMetrics(parts);
    const watches = config.mode !== 'sla';
    this.#planner = planner;
    this.#metrics = metrics;
    this.fleet = new ElasticFleet(parts.pools[0]!, {
      startupMs: config.startupMs,
      hired: (number) => {
        if (watches) metrics.watch(number);
      },
    });
  }

  get dueMs(): number {
    return Math.min(this.#nextLookMs, this.fleet.dueMs);
  }

  advance(nowMs: number): void {
    this.fleet.advance(nowMs);
    if (nowMs < this.#nextLookMs) return;
    this.#nextLookMs += lookMsOf(this.#planner.config);
    this.#look(nowMs);
  }

  #look(nowMs: number): void {
    const { fleet } = this;
    const watched = this.#planner.config.mode === 'sla' ? [] : fleet.readyNumbers;
    const reading = this.#metrics.read(nowMs, { readyWorkerMs: fleet.readyWorkerMs, watched });
    const input = { nowMs, reading, fleet: { worker: fleet.state } };
    const { state, decision } = look(this.#state, input, this.#planner);
    this.#state = state;
    this.decisions.push(decision);
    if (decision.acts) fleet.scaleTo(decision.counts.worker!, nowMs);
  }
}
