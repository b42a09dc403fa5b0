/** The planner at the wheel of a simulated fleet: it looks at the metrics as often as it wants, and what it decides is done. */

import { type Counts, type Fleet, type PlannedRole, rolesOf } from '../../../durable/planner/fleet.ts';
import { type Decision, look, lookMsOf, type PlannerParts } from '../../../durable/planner/planner.ts';
import { newPlannerState, type PlannerState } from '../../../durable/planner/planner-state.ts';
import type { Pilot, SimulationParts } from '../simulation.ts';
import { ElasticFleet } from './elastic-fleet.ts';
import { eachRole, plannedRoles } from './roles.ts';
import { SimMetrics } from './sim-metrics.ts';

export class PlannerPilot implements Pilot {
  readonly decisions: Decision[] = [];
  readonly #fleets: Partial<Record<PlannedRole, ElasticFleet>>;
  readonly #planner: PlannerParts;
  readonly #metrics: SimMetrics;
  #state: PlannerState = newPlannerState();
  #nextLookMs = 0;

  constructor(parts: SimulationParts, planner: PlannerParts) {
    const { startupMs, mode } = planner.config;
    const metrics = new SimMetrics(parts);
    const watches = mode !== 'sla';
    this.#planner = planner;
    this.#metrics = metrics;
    this.#fleets = eachRole(plannedRoles(parts.plan), (role, at) => {
      const hired = (number: number) => {
        if (watches) metrics.watch(role, number);
      };
      return new ElasticFleet(parts.pools[at]!, { startupMs, hired });
    });
  }

  get dueMs(): number {
    return Math.min(this.#nextLookMs, ...this.#all.map((fleet) => fleet.dueMs));
  }

  advance(nowMs: number): void {
    for (const fleet of this.#all) fleet.advance(nowMs);
    if (nowMs < this.#nextLookMs) return;
    this.#nextLookMs += lookMsOf(this.#planner.config);
    this.#look(nowMs);
  }

  /** Worker milliseconds paid for until the end, by role. */
  paidMs(endMs: number): Counts {
    return eachRole(rolesOf(this.#fleets), (role) => this.#fleets[role]!.paidMs(endMs));
  }

  get #all(): ElasticFleet[] {
    return rolesOf(this.#fleets).map((role) => this.#fleets[role]!);
  }

  #look(nowMs: number): void {
    const roles = rolesOf(this.#fleets);
    const watches = this.#planner.config.mode !== 'sla';
    const watched = watches ? eachRole(roles, (role) => this.#fleets[role]!.readyNumbers) : {};
    const readyWorkerMs = this.#all.reduce((sum, fleet) => sum + fleet.readyWorkerMs, 0);
    const reading = this.#metrics.read(nowMs, { readyWorkerMs, watched });
    const fleet: Fleet = eachRole(roles, (role) => this.#fleets[role]!.state);
    const { state, decision } = look(this.#state, { nowMs, reading, fleet }, this.#planner);
    this.#state = state;
    this.decisions.push(decision);
    if (!decision.acts) return;
    for (const role of roles) this.#fleets[role]!.scaleTo(decision.counts[role]!, nowMs);
  }
}
