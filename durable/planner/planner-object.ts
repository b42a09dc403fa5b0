/**
 * The Planner object, one per namespace: the shell around the planner's core. `rpc.ts` has its interface. Every look it asks the
 * router, the source and the connector, each for a limited time, decides (`planner.ts`), writes down what was decided and
 * then gives the order (`execute.ts`).
 *
 * The rhythm is a chain of timers, which a clock that jumps does not move; the alarm only brings the object back after a
 * restart of workerd, and is set anew at every look. An order is on disk before it is given, and given again after a restart:
 * connectors take an order once. workerd has one object of a name, so two planners of one namespace cannot both act.
 */

import { DurableObject, hostOf } from '#platform';
import type { Host } from '../platform/host.ts';
import type { RouterRpc } from '../router/rpc.ts';
import { type Settings, settingsFromEnv } from '../runtime/config.ts';
import { toStatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import { Logger } from '../runtime/log.ts';
import type { Connector } from './connectors/connector.ts';
import { Outbox } from './connectors/outbox.ts';
import { openConnector } from './connectors/registry.ts';
import { DecisionLog } from './decision-log.ts';
import { type Called, type Execution, follow, given, soundFleet } from './execute.ts';
import type { Fleet } from './fleet.ts';
import { look, lookMsOf, type PlannerParts } from './planner.ts';
import { type PlannerBasis, plannerBasis } from './planner-settings.ts';
import type {
  Completion,
  DecisionPage,
  DecisionQuery,
  KeptOrder,
  OrderWish,
  PlannerRpc,
  PlannerStatus,
  Refused,
  Woken,
} from './rpc.ts';
import { openSource } from './sources/registry.ts';
import type { MetricsSource } from './sources/source.ts';
import { SqlDisk } from './sql-disk.ts';
import { wake } from './wake.ts';
import { within } from './within.ts';

/** What the shell uses of its bindings; STATOR_* variables besides. */
interface PlannerEnv extends Record<string, unknown> {
  ROUTER: {
    idFromName(name: string): unknown;
    get(id: unknown): { demand(): Promise<RouterTold> };
  };
}

type RouterTold = ReturnType<RouterRpc['demand']>;

export class Planner extends DurableObject implements PlannerRpc {
  readonly #env: PlannerEnv;
  readonly #host: Host;
  readonly #namespace: string;
  readonly #settings: Settings;
  readonly #log: Logger;
  /** Null: there is no planner. */
  readonly #parts: PlannerBasis | null = null;
  readonly #disk: SqlDisk;
  readonly #outbox: Outbox;
  readonly #decisions: DecisionLog;
  readonly #connector: Connector;
  readonly #source: MetricsSource;
  #problem: string | null = null;
  #fleet: Fleet | null = null;
  /** Why it is the one from before; null: it is fresh. */
  #fleetProblem: string | null = null;
  /** Looks and wakes, one after the other. */
  #turns: Promise<unknown> = Promise.resolve();
  #pendingTurns = 0;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#env = env as PlannerEnv;
    this.#host = hostOf(ctx);
    this.#settings = settingsFromEnv(this.#env);
    this.#disk = new SqlDisk(ctx.storage);
    this.#namespace = this.#name(ctx.id.name);
    this.#log = new Logger({ component: 'planner', level: this.#settings.logLevel });
    this.#outbox = new Outbox(this.#disk.outbox, this.#host);
    try {
      this.#parts = plannerBasis(this.#settings);
    } catch (thrown) {
      this.#problem = toStatorError(thrown).message;
    }
    const parts = this.#parts;
    const basis = parts === null ? null : { config: parts.config, profile: parts.profileData };
    this.#decisions = new DecisionLog(this.#disk, basis);
    const own = { host: this.#host, namespace: this.#namespace, settings: this.#settings };
    this.#connector = openConnector({ ...own, env: this.#env, outbox: this.#outbox });
    this.#source = openSource(this.#settings, own);
    if (parts !== null) this.#begin(lookMsOf(parts.config));
  }

  /** An object that its alarm woke may not know its name, unless it was written down. */
  #name(given: string | undefined): string {
    const kept = this.#disk.value('namespace');
    if (given !== undefined && given !== kept) this.#disk.setValue('namespace', given);
    return given ?? (typeof kept === 'string' ? kept : '');
  }

  /** Nothing to do but to be there, and to be brought back again: the constructor has begun. */
  override async alarm(): Promise<void> {
    const parts = this.#parts;
    if (parts !== null) await this.ctx.storage.setAlarm(this.#host.nowMs() + lookMsOf(parts.config));
  }

  async status(): Promise<PlannerStatus> {
    const config = this.#parts?.config;
    const { plannerTtftMs, plannerItlMs, plannerConnector } = this.#settings;
    const { demand, execution, latest, state } = this.#decisions;
    return {
      mode: config?.mode ?? 'off',
      advisory: config?.advisory ?? false,
      connector: plannerConnector,
      targets: { ttftMs: plannerTtftMs, itlMs: plannerItlMs },
      bounds: config?.roles ?? {},
      gpuBudget: config?.gpuBudget ?? null,
      fleet: this.#fleet,
      wants: latest?.decision.counts ?? null,
      demand,
      decision: latest?.id ?? null,
      looks: state.looks,
      because: latest?.decision.because ?? [],
      order:
        execution === null
          ? null
          : {
              order: { id: execution.id, counts: execution.counts },
              issuedMs: execution.issuedMs,
              ...this.#told(execution),
              executor: this.#outbox.executor,
            },
      problem: this.#problem,
    };
  }

  /** What the executor said since the last look is not part of the log yet, and whoever waits wants to know it now. */
  #told({ id, outcome, why }: Execution): Pick<Execution, 'outcome' | 'why'> {
    const kept = this.#outbox.newest;
    const isNewer = outcome === 'pending' && kept?.order.id === id && kept.outcome !== 'pending';
    return isNewer ? { outcome: kept.outcome, why: kept.why } : { outcome, why };
  }

  async decisions({ limit, replay = false, ...query }: DecisionQuery): Promise<DecisionPage> {
    return this.#decisions.page({ ...query, limit: Math.min(limit, LIMITS.plannerPage), replay });
  }

  async wake(): Promise<Woken> {
    const parts = this.#parts;
    if (parts === null) return { waking: false, why: this.#problem ?? 'the planner is off' };
    if (parts.config.advisory) return { waking: false, why: 'the planner only advises' };
    return this.#inTurn(() => this.#wake(parts));
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

  /**
   * The first look comes when it was due in the life before, never later than one rhythm from now; but not before the workers, whose
   * sockets went down with workerd, have had the time of a lease to come back.
   */
  #begin(lookMs: number): void {
    const dueMs = Number(this.#disk.value('next_look_ms') ?? 0);
    const isRestart = this.#decisions.state.looks > 0;
    const restMs = Math.min(Math.max(dueMs - this.#host.nowMs(), 0), lookMs);
    const delayMs = isRestart ? Math.max(restMs, this.#settings.leaseMs) : restMs;
    this.#host.after(delayMs, () => this.#tick(lookMs));
    void this.ctx.storage.setAlarm(this.#host.nowMs() + delayMs);
  }

  #tick(lookMs: number): void {
    this.#host.after(lookMs, () => this.#tick(lookMs));
    const dueMs = this.#host.nowMs() + lookMs;
    this.#disk.setValue('next_look_ms', dueMs);
    void this.ctx.storage.setAlarm(dueMs);
    // A look that waits for somebody is not overtaken; what it waits for has an end.
    if (this.#pendingTurns > 0) return;
    void this.#inTurn(() => this.#look(this.#parts!));
  }

  /** One at a time; a turn that fails says so and is over. */
  async #inTurn<T>(turn: () => Promise<T>): Promise<T> {
    this.#pendingTurns++;
    const mine = this.#turns.then(turn);
    this.#turns = mine.catch((thrown: unknown) => {
      this.#problem = toStatorError(thrown).message;
      this.#log.error('a look failed', { namespace: this.#namespace, error: toStatorError(thrown) });
    });
    try {
      return await mine;
    } finally {
      this.#pendingTurns--;
    }
  }

  async #look(parts: PlannerParts): Promise<void> {
    const { config } = parts;
    const told = this.#askRouter();
    const [reading, fleet, progress] = await Promise.all([
      this.#call(() => this.#source.read(told.then(({ metrics }) => metrics))),
      this.#observeFleet(told, parts),
      this.#call(() => this.#connector.progress()),
    ]);
    if (fleet === null) return;
    this.#problem = reading.ok ? this.#fleetProblem : `metrics: ${reading.why}`;
    const { state } = this.#decisions;
    const followed = follow(this.#decisions.execution, progress, { looks: state.looks, config });
    if (followed.execution?.outcome === 'given_up') this.#outbox.giveUp(followed.execution.id);
    const input = {
      nowMs: this.#host.nowMs(),
      reading: reading.ok ? asKept(reading.value) : null,
      fleet,
      action: followed.action,
    };
    const decided = look(state, input, parts);
    this.#decisions.add('look', input, { ...decided, execution: followed.execution });
    if (decided.decision.acts || followed.resend) await this.#give();
  }

  async #wake({ config }: PlannerParts): Promise<Woken> {
    const { state } = this.#decisions;
    const last = this.#decisions.execution;
    const execution = last === null ? null : { ...last, ...this.#told(last) };
    const woken: Woken = { waking: true, why: 'a request waits' };
    if (execution?.outcome === 'pending' && Object.values(execution.counts).every((count) => count >= 1))
      return woken;
    const fleet = await this.#observeFleet(this.#askRouter(), { config });
    if (fleet === null) return { waking: false, why: this.#problem ?? 'nobody knows what there is' };
    const input = { nowMs: this.#host.nowMs(), reading: null, fleet };
    const decided = wake(state, input, config);
    if (decided !== null) {
      this.#decisions.add('wake', input, { ...decided, execution });
      await this.#give();
    }
    return woken;
  }

  /** The newest order to the connector; what came of it is written down. */
  async #give(): Promise<void> {
    const { execution } = this.#decisions;
    if (execution === null || execution.outcome !== 'pending') return;
    const { id, counts } = execution;
    const called = await this.#call(() => this.#connector.order({ id, counts }));
    this.#decisions.executed(given(execution, called));
  }

  /** Null: nothing is known, not even from before. */
  async #observeFleet(
    asked: Promise<RouterTold>,
    { config }: Pick<PlannerParts, 'config'>,
  ): Promise<Fleet | null> {
    const registered = await this.#call(() => asked.then((told) => told.registered));
    const told = registered.ok ? await this.#call(() => this.#connector.fleet(registered.value)) : registered;
    if (!told.ok && this.#fleet === null) {
      this.#problem = `the fleet is not known: ${told.why}`;
      return null;
    }
    this.#fleetProblem = told.ok ? null : `the fleet may have changed: ${told.why}`;
    this.#fleet = soundFleet(told.ok ? told.value : null, config.roles, this.#fleet);
    return this.#fleet;
  }

  /** Asked anew each time: one that never answers must not stand for those after it. */
  #askRouter(): Promise<RouterTold> {
    const { ROUTER } = this.#env;
    const told = ROUTER.get(ROUTER.idFromName(this.#namespace)).demand();
    // Whoever needs it hears of its failure.
    told.catch(() => {});
    return told;
  }

  #call<T>(call: () => Promise<T>): Promise<Called<T>> {
    const lookMs = lookMsOf(this.#parts!.config);
    return within(this.#host, Math.min(LIMITS.plannerCallMs, lookMs), call);
  }
}

/**
 * As it will be read from disk, so that every decision can be made again from what was written down. What is too long to be kept
 * is not looked at either.
 */
function asKept(reading: unknown): unknown {
  try {
    const json = JSON.stringify(reading) ?? 'null';
    return json.length <= LIMITS.plannerReadingBytes ? JSON.parse(json) : null;
  } catch (thrown) {
    // A value that no JSON can hold is no reading.
    if (thrown instanceof TypeError) return null;
    throw thrown;
  }
}
