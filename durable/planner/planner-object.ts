/**
 * The Planner object, one per namespace: the shell around the planner's core. `rpc.ts` has its interface. It gives orders to a
 * connector; the outbox keeps those that somebody outside executes.
 */

import { DurableObject, hostOf } from '#platform';
import type { Host } from '../platform/host.ts';
import type { RouterStatus } from '../router/rpc.ts';
import { type Settings, settingsFromEnv } from '../runtime/config.ts';
import { toStatorError } from '../runtime/errors.ts';
import type { Connector } from './connectors/connector.ts';
import { Outbox } from './connectors/outbox.ts';
import { openConnector } from './connectors/registry.ts';
import { type Counts, type Fleet, rolesOf, sameCounts, settledCounts } from './fleet.ts';
import type { PlannerConfig } from './planner-config.ts';
import { plannerOf } from './planner-settings.ts';
import { registeredFleet } from './registered.ts';
import type { Completion, KeptOrder, OrderWish, PlannerRpc, PlannerStatus, Refused, Woken } from './rpc.ts';
import { SqlDisk } from './sql-disk.ts';

/** What the shell uses of its bindings; STATOR_* variables besides. */
interface PlannerEnv extends Record<string, unknown> {
  ROUTER: {
    idFromName(name: string): unknown;
    get(id: unknown): { status(): Promise<RouterStatus> };
  };
}

export class Planner extends DurableObject implements PlannerRpc {
  readonly #env: PlannerEnv;
  readonly #host: Host;
  readonly #namespace: string;
  readonly #settings: Settings;
  /** Null: there is no planner. */
  readonly #config: PlannerConfig | null;
  readonly #disk: SqlDisk;
  readonly #outbox: Outbox;
  readonly #connector: Connector;
  #fleet: Fleet | null = null;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#env = env as PlannerEnv;
    this.#host = hostOf(ctx);
    this.#namespace = ctx.id.name ?? String(ctx.id);
    this.#settings = settingsFromEnv(this.#env);
    this.#config = plannerOf(this.#settings);
    this.#disk = new SqlDisk(ctx.storage);
    this.#outbox = new Outbox(this.#disk.outbox, this.#host);
    this.#connector = openConnector({
      namespace: this.#namespace,
      settings: this.#settings,
      env: this.#env,
      outbox: this.#outbox,
      host: this.#host,
    });
  }

  async status(): Promise<PlannerStatus> {
    const config = this.#config;
    const { plannerTtftMs, plannerItlMs, plannerConnector } = this.#settings;
    const kept = this.#outbox.newest;
    return {
      mode: config?.mode ?? 'off',
      advisory: config?.advisory ?? false,
      connector: plannerConnector,
      targets: { ttftMs: plannerTtftMs, itlMs: plannerItlMs },
      bounds: config?.roles ?? {},
      gpuBudget: config?.gpuBudget ?? null,
      fleet: this.#fleet,
      wants: kept?.order.counts ?? null,
      because: [],
      order: kept === null ? null : { ...kept, executor: this.#outbox.executor },
      problem: null,
    };
  }

  async wake(): Promise<Woken> {
    const config = this.#config;
    if (config === null) return { waking: false, why: 'the planner is off' };
    if (config.advisory) return { waking: false, why: 'the planner only advises' };
    try {
      const fleet = await this.#connector.fleet(await this.#registered());
      this.#fleet = fleet;
      await this.#orderAtLeastOne(fleet, config);
      return { waking: true, why: 'a request waits' };
    } catch (thrown) {
      return { waking: false, why: toStatorError(thrown).message };
    }
  }

  waitOrder(wish: OrderWish): Promise<KeptOrder | Refused | null> {
    return this.#outbox.wait(wish);
  }

  async completeOrder(
    id: number,
    outcome: { failed: string | null; executor: string },
  ): Promise<Completion | Refused> {
    return this.#outbox.complete(id, outcome);
  }

  async #registered(): Promise<Fleet> {
    const { ROUTER } = this.#env;
    const { workers } = await ROUTER.get(ROUTER.idFromName(this.#namespace)).status();
    return registeredFleet(workers);
  }

  async #orderAtLeastOne(fleet: Fleet, { roles }: PlannerConfig): Promise<void> {
    const current = settledCounts(fleet);
    const counts: Record<string, number> = {};
    for (const role of rolesOf(roles)) counts[role] = Math.max(current[role] ?? 0, 1);
    if (rolesOf(roles).every((role) => (current[role] ?? 0) >= 1)) return;
    const newest = this.#outbox.newest;
    if (newest?.outcome === 'pending' && sameCounts(newest.order.counts, counts as Counts)) return;
    const id = Number(this.#disk.value('orders') ?? 0) + 1;
    this.#disk.setValue('orders', id);
    await this.#connector.order({ id, counts });
  }
}
