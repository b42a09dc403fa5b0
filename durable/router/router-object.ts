/**
 * The Router object, one per namespace: the shell around `router.ts`. It accepts fleet sockets, gives the core its clock
 * and chance, sweeps while workers are there, and tells the Directory what is served. `rpc.ts` has its interface.
 *
 * Nothing on the way of `route` is stored or waits: publishing and snapshots of the index have turns of their own.
 */

import { acceptSocket, connectNats, DurableObject, hostOf } from '#platform';
import { DIRECTORY_NAME, type DirectoryRpc } from '../directory/rpc.ts';
import { maySleep } from '../planner/may-sleep.ts';
import type { Host } from '../platform/host.ts';
import { hearSocket } from '../platform/socket.ts';
import { Sweep } from '../platform/sweep.ts';
import { nearbyPrefillQueue } from '../prefill-queue/nearby.ts';
import { type Settings, settingsFromEnv } from '../runtime/config.ts';
import { StatorError, toStatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import { Logger } from '../runtime/log.ts';
import type { EventSource } from './event-plane/event-source.ts';
import { sqlPositionDisk } from './event-plane/position-disk.ts';
import { EVENT_SOURCES } from './event-plane/registry.ts';
import { FleetConnection } from './fleet-connection.ts';
import { announceRouter } from './nearby.ts';
import { type PrefillBacklog, policyOf } from './policy.ts';
import { checkedPolicy, configuredPolicy } from './queue/configured-policy.ts';
import { waitForTicket } from './queue/ticket-wait.ts';
import { RouterCore } from './router.ts';
import type {
  BusyThresholds,
  DisaggSettings,
  RouteAnswer,
  RouteRefusal,
  RouteRequest,
  RouterRpc,
  RouterStatus,
} from './rpc.ts';
import { type PlannerDoor, Waker } from './sleep/waker.ts';
import { sqlSnapshotDisk } from './snapshot-disk.ts';
import { wasmIndexes } from './wasm-indexes.ts';

const SUBPROTOCOL = 'stator.fleet.v1';
const PATH = /^\/fleet\/v1\/([a-z0-9][a-z0-9-]{0,62})$/;

/** What the shell uses of its bindings; STATOR_* variables besides. */
interface RouterEnv extends Record<string, unknown> {
  DIRECTORY: {
    idFromName(name: string): unknown;
    get(id: unknown): { publish(...args: Parameters<DirectoryRpc['publish']>): Promise<number> };
  };
  PREFILL_QUEUE: {
    idFromName(name: string): unknown;
    get(id: unknown): { workerLost(worker: string): Promise<void> };
  };
  REQUEST_PLANE: RouterEnv['PREFILL_QUEUE'];
  PLANNER: {
    idFromName(name: string): unknown;
    get(id: unknown): PlannerDoor;
  };
}

/** Cores by object id: the wasm memory is the isolate's, so a restarted object frees what its predecessor held. */
const cores = new Map<string, RouterCore>();

export class Router extends DurableObject implements RouterRpc {
  readonly #env: RouterEnv;
  readonly #host: Host;
  readonly #core: RouterCore;
  readonly #log: Logger;
  readonly #waker: Waker;
  readonly #connections = new Set<FleetConnection>();
  readonly #settings: Settings;
  #hearsPlane = false;
  #plane: EventSource | null = null;
  /** Known from the first fleet socket on; without workers there is nothing to publish. */
  #namespace: string | null = null;
  /** As long as there is a socket or a worker whose lease may end. */
  readonly #sweep: Sweep;
  #snapshotting = false;
  /** `dirty`: something changed while a publication was on its way. */
  #publication: 'idle' | 'running' | 'dirty' = 'idle';
  #publishedMs = 0;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#env = env as RouterEnv;
    this.#host = hostOf(ctx);
    this.#sweep = new Sweep(this.#host, LIMITS.sweepMs, (nowMs) => this.#turn(nowMs));
    const settings = settingsFromEnv(this.#env);
    this.#settings = settings;
    this.#log = new Logger({ component: 'router', level: settings.logLevel });
    this.#core = new RouterCore({
      policy: {
        ...policyOf(settings, () => this.#host.random()),
        prefillQueue: settings.prefillHandoff === 'queue' ? (model) => this.#prefillBacklog(model) : null,
      },
      clock: this.#host,
      indexes: wasmIndexes,
      log: this.#log,
      leaseMs: settings.leaseMs,
      metricsPrefix: settings.metricsPrefix,
      namespace: ctx.id.name ?? '',
      keepsPasses: settings.planner === 'load' || settings.planner === 'both',
      snapshots: {
        disk: sqlSnapshotDisk(ctx.storage.sql, { reset: settings.resetStates }),
        everyEvents: settings.snapshotEvents,
        wake: () => this.#wakeSnapshots(),
        round: (what) => this.#plane?.snapshot(what),
      },
      queuePolicy: configuredPolicy(settings),
      ...(maySleep(settings)
        ? {
            sleep: {
              most: settings.wakeQueue,
              timeoutMs: settings.wakeTimeoutMs,
              woke: () => this.#waker.succeeded(),
            },
          }
        : {}),
      changed: () => this.#publish(),
      disconnected: ({ instanceId, registration }) => {
        if (settings.prefillHandoff === 'queue' && registration.workerType === 'prefill')
          void this.#tellPrefillQueue(instanceId);
        if (settings.requestPlane !== 'http') void this.#tellRequestPlane(instanceId);
      },
    });
    const { PLANNER } = this.#env;
    this.#waker = new Waker({
      planner: () => PLANNER.get(PLANNER.idFromName(ctx.id.name ?? this.#namespace ?? '')),
      host: this.#host,
      isWanted: () => this.#core.isWanted,
      turnAway: (why, restMs) => this.#core.turnAway(why, restMs),
    });
    const id = String(ctx.id);
    cores.get(id)?.dispose();
    cores.set(id, this.#core);
  }

  /** In this turn: the queue object lives in this isolate, or nobody has used it yet. */
  #prefillBacklog(model: string): PrefillBacklog {
    const queue = nearbyPrefillQueue(this.#namespace ?? '');
    if (queue === undefined) return { waiting: 0, tokens: 0 };
    return {
      waiting: queue.waiting(model),
      tokens: Math.floor(queue.bytes(model) / Uint32Array.BYTES_PER_ELEMENT),
    };
  }

  route(request: RouteRequest): RouteAnswer {
    return this.#core.route(request);
  }

  wait(ticket: number): Promise<RouteAnswer> {
    // Here and not in `route`, which functions call directly: what is begun here is the object's own.
    if (this.#core.isWanted) this.#waker.call();
    return waitForTicket(this.#core, this.#host, ticket);
  }

  release(reservation: number): void {
    this.#core.release(reservation);
  }

  abandon(requestIds: string[]): void {
    this.#core.abandon(requestIds);
  }

  queuePolicy(): unknown {
    return this.#core.queuePolicy;
  }

  setQueuePolicy(document: unknown): RouteRefusal | null {
    try {
      this.#core.setQueuePolicy(checkedPolicy(document));
      return null;
    } catch (thrown) {
      const { code, message } = toStatorError(thrown);
      return { kind: 'refusal', code, message, retryAfterS: null };
    }
  }

  metrics(): string {
    return this.#core.metrics();
  }

  demand(): ReturnType<RouterRpc['demand']> {
    return this.#core.demand();
  }

  status(): RouterStatus {
    return this.#core.status();
  }

  clearKvBlocks(): number {
    return this.#core.clearKvBlocks();
  }

  busyThresholds(model: string, change: Partial<BusyThresholds>): BusyThresholds | null {
    return this.#core.busyThresholds(model, change);
  }

  disagg(model: string, change: Partial<DisaggSettings>): DisaggSettings | null {
    return this.#core.disagg(model, change);
  }

  /** `GET /fleet/v1/{namespace}` with `Upgrade: websocket`; the function in front has checked the fleet token. */
  override fetch(request: Request): Response {
    const namespace = PATH.exec(new URL(request.url).pathname)?.[1];
    if (namespace === undefined) return answer(new StatorError('not_found', 'this is /fleet/v1/{namespace}'));
    if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') {
      return answer(new StatorError('invalid_request', 'the fleet socket is a WebSocket'));
    }
    const offered = request.headers.get('sec-websocket-protocol') ?? '';
    if (!offered.split(',').some((name) => name.trim() === SUBPROTOCOL)) {
      return answer(new StatorError('invalid_request', `the subprotocol must be ${SUBPROTOCOL}`));
    }
    this.#namespace = namespace;
    announceRouter(namespace, this.#core);
    void this.#hearPlane(namespace);
    return this.#accept();
  }

  /** From the first worker on: events of workers that nobody has registered mean nothing. */
  async #hearPlane(namespace: string): Promise<void> {
    const load = EVENT_SOURCES[this.#settings.eventPlane];
    if (this.#hearsPlane || load === null) return;
    this.#hearsPlane = true;
    const open = await load();
    const core = this.#core;
    this.#plane = open({
      settings: this.#settings,
      namespace,
      sink: {
        event: (event) => core.applyEvent(event, this.#host.nowMs()),
        load: (said) => core.applyLoad(said, this.#host.nowMs()),
        note: (what, count = 1) => core.planeNote(what, count),
        behind: (isBehind) => core.planeBehind(isBehind, this.#host.nowMs()),
        restores: () => core.restores,
      },
      position: sqlPositionDisk(this.ctx.storage.sql, { reset: this.#settings.resetStates }),
      connect: connectNats,
      after: (delayMs, task) => this.#host.after(delayMs, task),
      log: this.#log,
    });
  }

  #accept(): Response {
    const { response, socket } = acceptSocket(this.ctx, SUBPROTOCOL);
    const connection = new FleetConnection(this.#core, socket, this.#host.nowMs());
    hearSocket(socket, {
      receive: (data) => connection.receive(data, this.#host.nowMs()),
      closed: (code) => {
        this.#connections.delete(connection);
        connection.closed(code, this.#host.nowMs());
      },
    });
    this.#connections.add(connection);
    this.#sweep.start();
    return response;
  }

  #turn(nowMs: number): boolean {
    this.#core.sweep(nowMs);
    for (const connection of this.#connections) connection.tick(nowMs);
    if (nowMs - this.#publishedMs >= LIMITS.republishMs) this.#publish();
    return this.#connections.size > 0 || this.#core.workerCount > 0;
  }

  /** One chunk a turn, until there is nothing to read or write. */
  #wakeSnapshots(): void {
    if (this.#snapshotting) return;
    this.#snapshotting = true;
    const turn = () => {
      const pauseMs = this.#core.snapshotTurn(this.#host.nowMs());
      if (pauseMs === null) this.#snapshotting = false;
      else this.#host.after(pauseMs, turn);
    };
    this.#host.after(0, turn);
  }

  /** What the worker had taken goes to another one, now and not when its lease ends. A worker that comes back finds that out. */
  async #tellPrefillQueue(worker: string): Promise<void> {
    try {
      const { PREFILL_QUEUE } = this.#env;
      await PREFILL_QUEUE.get(PREFILL_QUEUE.idFromName(this.#namespace ?? '')).workerLost(worker);
    } catch (thrown) {
      this.#log.warn('the prefill queue could not be told', { worker, error: toStatorError(thrown) });
    }
  }

  /** Its answers may never end: now they are asked for signs of life. */
  async #tellRequestPlane(worker: string): Promise<void> {
    try {
      const { REQUEST_PLANE } = this.#env;
      await REQUEST_PLANE.get(REQUEST_PLANE.idFromName(this.#namespace ?? '')).workerLost(worker);
    } catch (thrown) {
      this.#log.warn('the request plane could not be told', { worker, error: toStatorError(thrown) });
    }
  }

  /** Tells the Directory; changes meanwhile are told right after. A failure is repeated by the sweep. */
  #publish(): void {
    if (this.#publication !== 'idle') {
      this.#publication = 'dirty';
      return;
    }
    this.#publication = 'running';
    void this.#publishOnce().then(() => {
      const again = this.#publication === 'dirty';
      this.#publication = 'idle';
      if (again) this.#publish();
    });
  }

  async #publishOnce(): Promise<void> {
    const namespace = this.#namespace;
    if (namespace === null) return;
    this.#publishedMs = this.#host.nowMs();
    try {
      const { DIRECTORY } = this.#env;
      const directory = DIRECTORY.get(DIRECTORY.idFromName(DIRECTORY_NAME));
      this.#core.directoryVersion = await directory.publish(
        namespace,
        this.#core.models(namespace),
        this.#core.instances(namespace),
      );
    } catch (thrown) {
      this.#log.warn('the directory could not be told', { namespace, error: toStatorError(thrown) });
    }
  }
}

const answer = (error: StatorError) => Response.json(error.toOpenAi(), { status: error.httpStatus });
