/**
 * What a metrics source would say of a simulated fleet: read from the recorder, where everything that has happened by now
 * is written down. Cost of a reading: the requests under way, and those that came since the last.
 */

import { type PlannedRole, rolesOf } from '../../../durable/planner/fleet.ts';
import { addValue, emptyHistogram } from '../../../durable/planner/histogram.ts';
import type { Metrics } from '../../../durable/planner/metrics.ts';
import type { EnginePass } from '../../../durable/runtime/pass-sample.ts';
import type { Pool } from '../pool.ts';
import type { SimulationParts } from '../simulation.ts';
import { eachRole, plannedRoles } from './roles.ts';
import { meanItlMs } from './targets.ts';

/** Four bounds to each doubling. */
const bounds = (from: number, doublings: number): number[] =>
  Array.from({ length: 4 * doublings + 1 }, (_, i) => from * 2 ** (i / 4));
const TOKEN_BOUNDS = bounds(32, 13);
const MS_BOUNDS = bounds(1, 20);

export interface FleetGauges {
  readyWorkerMs: number;
  /** Workers whose engines are asked for their passes, by role. */
  watched: Partial<Record<PlannedRole, readonly number[]>>;
}

export class SimMetrics {
  readonly #parts: SimulationParts;
  readonly #totals: Omit<Metrics, 'atMs' | 'workerMs' | 'waiting' | 'engines'> = {
    arrived: 0,
    inputTokens: 0,
    computedTokens: emptyHistogram(TOKEN_BOUNDS),
    ttftMs: emptyHistogram(MS_BOUNDS),
    outputTokens: emptyHistogram([1, ...TOKEN_BOUNDS]),
    itlMs: emptyHistogram(MS_BOUNDS),
  };
  /** Requests without a first token, and without an end. */
  #waiting: number[] = [];
  #running: number[] = [];
  /** By role and worker. */
  readonly #passes = new Map<string, EnginePass[]>();

  constructor(parts: SimulationParts) {
    this.#parts = parts;
  }

  /** From now on the passes of a worker are part of the readings. */
  watch(role: PlannedRole, number: number): void {
    const passes: EnginePass[] = [];
    this.#passes.set(`${role} ${number}`, passes);
    this.#poolOf(role).workers[number]!.watch = (pass) => passes.push(pass);
  }

  read(nowMs: number, { readyWorkerMs, watched }: FleetGauges): Metrics {
    this.#arrive(nowMs);
    this.#begin();
    this.#end();
    return {
      atMs: nowMs,
      ...structuredClone(this.#totals),
      workerMs: readyWorkerMs,
      waiting: this.#waiting.length,
      engines: eachRole(rolesOf(watched), (role) =>
        watched[role]!.map((number) => this.#engine(role, number)),
      ),
    };
  }

  #arrive(nowMs: number): void {
    const { trace, speedup } = this.#parts.plan;
    const totals = this.#totals;
    for (;;) {
      const next = trace.requests[totals.arrived];
      if (next === undefined || next.atMs / speedup >= nowMs) return;
      this.#waiting.push(totals.arrived++);
      totals.inputTokens += next.inputTokens;
    }
  }

  #begin(): void {
    const { plan, recorder } = this.#parts;
    const { firstTokenMs, cachedTokens, rejected } = recorder;
    this.#waiting = this.#waiting.filter((at) => {
      if (rejected[at] === 1) return false;
      if (firstTokenMs[at] === 0) return true;
      const { atMs, inputTokens } = plan.trace.requests[at]!;
      addValue(this.#totals.ttftMs, firstTokenMs[at]! - atMs / plan.speedup);
      addValue(this.#totals.computedTokens, inputTokens - cachedTokens[at]!);
      this.#running.push(at);
      return false;
    });
  }

  #end(): void {
    const { recorder } = this.#parts;
    this.#running = this.#running.filter((at) => {
      if (recorder.outputTokens[at] === 0) return true;
      addValue(this.#totals.outputTokens, recorder.outputTokens[at]!);
      addValue(this.#totals.itlMs, meanItlMs(recorder, at));
      return false;
    });
  }

  #poolOf(role: PlannedRole): Pool {
    return this.#parts.pools[plannedRoles(this.#parts.plan).indexOf(role)]!;
  }

  #engine(role: PlannedRole, number: number) {
    const { totalBlocks, blockSizeTokens } = this.#parts.plan.engine;
    const passes = this.#passes.get(`${role} ${number}`)!;
    const { running, kvUsedBlocks } = this.#poolOf(role).workers[number]!.load;
    return {
      id: String(number),
      decodeKvTokens: running === 0 ? 0 : kvUsedBlocks * blockSizeTokens,
      maxKvTokens: totalBlocks * blockSizeTokens,
      passes: passes.splice(0),
    };
  }
}
