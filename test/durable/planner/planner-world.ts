/** A Planner object on the polyfill, in a world that a test moves: its clock, what the router says, what its orders become. */

import type { Fleet, PlannedRole } from '../../../durable/planner/fleet.ts';
import { Planner } from '../../../durable/planner/planner-object.ts';
import type { KeptOrder } from '../../../durable/planner/rpc.ts';
import { ObjectNamespace } from '../../../durable/polyfill/object-namespace.ts';
import { VirtualHost } from '../../../durable/polyfill/virtual-host.ts';
import type { PlannerStub } from '../../../functions/env.ts';
import { PROFILE } from './metric-streams.ts';

/** A clock that may jump; timers run by the one inside, which does not. */
class JumpingHost extends VirtualHost {
  skewMs = 0;

  override nowMs(): number {
    return super.nowMs() + this.skewMs;
  }

  override after(delayMs: number, task: () => void): void {
    const skewMs = this.skewMs;
    // The inner clock must not see the jump.
    this.skewMs = 0;
    super.after(delayMs, task);
    this.skewMs = skewMs;
  }
}

export interface Told {
  metrics: unknown;
  registered: unknown;
}

export const ready = (counts: Partial<Record<PlannedRole, number>>): Fleet =>
  Object.fromEntries(
    Object.entries(counts).map(([role, count]) => [role, { ready: count, starting: 0, draining: 0 }]),
  );

export class PlannerWorld {
  readonly host = new JumpingHost({ startMs: 1_000_000 });
  /** Real time in whole milliseconds: what sound sources count by. */
  told: () => Promise<Told>;
  readonly #objects: ObjectNamespace<Planner>;
  readonly problems: unknown[] = [];

  constructor(env: Record<string, unknown>, told: () => Promise<Told>) {
    this.told = told;
    const ROUTER = { idFromName: (name: string) => name, get: () => ({ demand: () => this.told() }) };
    this.#objects = new ObjectNamespace(Planner, {
      env: {
        STATOR_LOG_LEVEL: 'error',
        STATOR_PLANNER: 'sla',
        STATOR_PLANNER_PROFILE: JSON.stringify(PROFILE),
        ROUTER,
        ...env,
      },
      host: this.host,
      report: (error) => this.problems.push(error),
    });
  }

  get planner(): PlannerStub {
    return this.#objects.getByName('default') as unknown as PlannerStub;
  }

  /** The object loses its memory; its disk stays. */
  crash(): void {
    this.#objects.crash(this.#objects.idFromName('default'));
  }

  /** The newest order, as an executor sees it. */
  async order(executor = 'test'): Promise<KeptOrder | null> {
    const answer = await this.planner.waitOrder({ after: 0, waitMs: 0, executor });
    if (answer !== null && 'refused' in answer) throw new Error(answer.message);
    return answer;
  }
}
