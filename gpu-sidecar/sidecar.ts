/**
 * One sidecar: an engine, two listeners and a fleet socket, tied to one lifecycle. `main.ts` is the process around it.
 *
 * Start: engine, listeners, then the router is told. End: no new requests, the running ones finish or are cut off at
 * the deadline (the platform continues them elsewhere), the router hears the rest, everything closes.
 */

import type { Server as HttpServer } from 'node:http';
import type { Server as GrpcServer } from '@grpc/grpc-js';
import { type Clock, wallClock } from '../durable/runtime/clock.ts';
import { instanceNumber } from '../durable/runtime/event-plane/instance.ts';
import { IdSource } from '../durable/runtime/ids.ts';
import type { Logger } from '../durable/runtime/log.ts';
import type { Metrics } from '../durable/runtime/metrics.ts';
import { gpuMetrics } from './cuda/gpu-metrics.ts';
import { type Exchange, openExchange } from './disagg/exchange.ts';
import { HttpQueueClient } from './disagg/queue-client.ts';
import { computeOn } from './disagg/queue-compute.ts';
import { QueueConsumer } from './disagg/queue-consumer.ts';
import { openDiscovery } from './discovery/registry.ts';
import { WorkerDiscovery } from './discovery/worker-discovery.ts';
import type { Engine } from './engines/engine.ts';
import { EventFeed } from './event-plane/event-feed.ts';
import { EVENT_PLANES } from './event-plane/registry.ts';
import { FleetClient } from './fleet/client.ts';
import { Outbox } from './fleet/outbox.ts';
import { ProgressBook } from './fleet/progress.ts';
import type { Refusal } from './fleet/refusal.ts';
import { registerFrame } from './fleet/register.ts';
import { WorkerEvents } from './fleet/worker-events.ts';
import { TierEventLog } from './kvbm/tier-event-log.ts';
import { Lifecycle, type LifecyclePhase } from './lifecycle.ts';
import { REQUEST_SERVERS } from './request-plane/registry.ts';
import type { RequestServer } from './request-plane/request-server.ts';
import { Admission } from './server/admission.ts';
import { Bearer } from './server/bearer.ts';
import { createGrpcServer, serveKvTransfer } from './server/grpc.ts';
import { createHttpServer } from './server/http.ts';
import { serveKserve } from './server/kserve/service.ts';
import { hostPort, listenGrpc, listenHttp } from './server/listen.ts';
import { nameParsers } from './server/parser-options.ts';
import { servePlanner } from './server/planner-front.ts';
import { PlatformCaller } from './server/platform-call.ts';
import { platformRecords } from './server/response-records.ts';
import { serveRouter } from './server/router-front.ts';
import type { Worker } from './server/worker.ts';
import { workerLimits } from './server/worker-limits.ts';
import { type WorkerMetrics, workerMetrics } from './server/worker-metrics.ts';
import { fleetUrl, type SidecarSettings } from './settings.ts';
import { systemTimers } from './timers.ts';
import { type Fetch, tlsFetch } from './tls/tls-fetch.ts';

export interface SidecarHooks {
  phase(phase: LifecyclePhase, addresses: SidecarAddresses): void;
  /** The router will never take this worker; the sidecar is of no use. */
  refused(refusal: Refusal): void;
}

export interface SidecarAddresses {
  http: string;
  grpc: string;
  instance: string;
}

/** Wall time with fractions: differences are durations. */
const preciseClock: Clock = { nowMs: () => performance.timeOrigin + performance.now() };

export class Sidecar {
  readonly #settings: SidecarSettings;
  /** Reaches the platform. */
  readonly #fetch: Fetch;
  readonly #engine: Engine;
  readonly #hooks: SidecarHooks;
  readonly #log: Logger;
  readonly #lifecycle: Lifecycle;
  readonly #worker: Worker;
  readonly #http: HttpServer;
  readonly #grpc: GrpcServer;
  readonly #outbox: Outbox;
  readonly #bearer: Bearer;
  readonly #metrics: Metrics;
  #exchange: Exchange | null = null;
  /** Takes prompts of other workers from the platform's queue; null: they are sent here. */
  readonly #consumer: QueueConsumer | null;
  #fleet: FleetClient | null = null;
  readonly #discovery: WorkerDiscovery;
  /** What goes by an event plane; null: all goes by the fleet socket. */
  readonly #feed: EventFeed | null;
  #requests: RequestServer | null = null;
  #addresses: SidecarAddresses;
  #end: Promise<void> | null = null;

  constructor(
    settings: SidecarSettings,
    engine: Engine,
    hooks: SidecarHooks,
    { log, metrics }: { log: Logger; metrics: Metrics },
  ) {
    this.#settings = settings;
    this.#fetch = settings.tls === null ? fetch : tlsFetch(settings.tls);
    this.#engine = engine;
    this.#hooks = hooks;
    this.#log = log;
    nameParsers(engine.info.card, settings.settings);
    this.#addresses = { http: '', grpc: '', instance: new IdSource().instanceId() };
    this.#lifecycle = new Lifecycle((phase) => hooks.phase(phase, this.#addresses));
    this.#discovery = discoveryOf(settings, log);
    const changed = (idle?: boolean): void => {
      this.#feed?.changed();
      this.#fleet?.changed(idle);
    };
    const events = new WorkerEvents({
      ring: workerLimits.eventRing,
      dumpBlocksPerFrame: workerLimits.dumpBlocksPerFrame,
      changed,
    });
    const progress = new ProgressBook(workerLimits.inFlight, changed);
    this.#outbox = new Outbox({
      events,
      progress,
      load: () => engine.load(),
      ...(engine.passes && { passes: engine.passes }),
      frameBytes: workerLimits.fleetFrameBytes,
      elsewhere: EVENT_PLANES[settings.settings.eventPlane]?.reachesPlatform ?? false,
    });
    this.#worker = this.#makeWorker(events, progress, metrics);
    this.#consumer = this.#makeConsumer();
    this.#feed = this.#makeFeed(events, metrics);
    const bearer = new Bearer(settings.settings.fleetToken);
    this.#bearer = bearer;
    this.#metrics = metrics;
    this.#http = createHttpServer(this.#worker, bearer, settings.tls);
    this.#grpc = createGrpcServer(this.#worker, bearer);
    const platform = new PlatformCaller(this.#discovery.platformUrl, this.#fetch);
    serveRouter(this.#grpc, platform);
    servePlanner(this.#grpc, platform);
    serveKserve(this.#grpc, platform);
    engine.onKvEvents(events);
    engine.kvMemory?.follow(new TierEventLog(events, 'lower').record);
  }

  get addresses(): SidecarAddresses {
    return this.#addresses;
  }

  /** Opens the listeners and dials the platform; the phases tell the rest. Throws when a port cannot be taken. */
  async start(): Promise<void> {
    const { grpcPort, host, httpPort, settings, tls } = this.#settings;
    await this.#openExchange();
    const httpBound = await listenHttp(this.#http, host, httpPort);
    const grpcBound = await listenGrpc(this.#grpc, { host, port: grpcPort, tls });
    const { instance } = this.#addresses;
    this.#addresses = {
      http: `${tls === null ? 'http' : 'https'}://${hostPort(host, httpBound)}`,
      grpc: hostPort(host, grpcBound),
      instance,
    };
    const identity = {
      instanceId: instance,
      epoch: Math.floor(this.#worker.startedMs),
      httpAddress: this.#addresses.http,
      grpcAddress: this.#addresses.grpc,
    };
    const register = registerFrame(identity, this.#engine.info, settings);
    await this.#openEventPlane(register.component);
    const openRequests = await REQUEST_SERVERS[settings.requestPlane]?.();
    this.#requests = openRequests?.({ worker: this.#worker, settings, log: this.#log }) ?? null;
    this.#fleet = new FleetClient({
      url: () => fleetUrl(this.#discovery.platformUrl(), settings.namespace),
      unreachable: () => this.#discovery.unreachable(),
      token: settings.fleetToken,
      tls,
      register,
      outbox: this.#outbox,
      dump: () => this.#worker.events.dump(),
      snapshotPiece: (piece) => this.#worker.events.snapshotPiece(piece),
      commands: {
        welcomed: () => {
          this.#welcomed();
          this.#discovery.announce(register);
        },
        drain: () => void this.drain(workerLimits.drainMs),
        clearKv: () => void this.#engine.clearKvBlocks(),
        refused: (refusal) => this.#hooks.refused(refusal),
      },
      clock: preciseClock,
      timers: systemTimers,
      random: Math.random,
      limits: workerLimits,
      log: this.#log,
    });
    this.#fleet.start();
  }

  /** The orderly end, once; later calls wait for the first. Resolves when everything is closed. */
  drain(deadlineMs: number): Promise<void> {
    this.#end ??= this.#drain(deadlineMs);
    return this.#end;
  }

  /** Before the listeners: whoever reaches this worker may have its blocks. */
  async #openExchange(): Promise<void> {
    const { host, settings, tls } = this.#settings;
    const memory = this.#engine.kvMemory;
    if (memory === undefined || settings.workerType === 'aggregated') return;
    this.#exchange = await openExchange({
      memory,
      settings,
      instanceId: this.#addresses.instance,
      epoch: Math.floor(this.#worker.startedMs),
      host,
      tls,
      metrics: this.#metrics,
      timers: systemTimers,
      queue: this.#queueEnd(),
    });
    const { backends, missing, source } = this.#exchange;
    this.#log.info('KV blocks move between workers', { backends, missing });
    serveKvTransfer(this.#grpc, this.#bearer, source);
  }

  #makeFeed(events: WorkerEvents, metrics: Metrics): EventFeed | null {
    const plane = EVENT_PLANES[this.#settings.settings.eventPlane];
    if (plane === null) return null;
    const messages = metrics.counter('worker_event_plane_total', 'Messages given to the event plane.', [
      'what',
    ]);
    return new EventFeed({
      events,
      load: () => this.#engine.load(),
      publisherId: instanceNumber(this.#addresses.instance),
      epoch: Math.floor(this.#worker.startedMs),
      anchor: plane.reachesPlatform ? () => this.#fleet?.anchor() : null,
      count: (what, count) => messages.labels(what).add(count),
      clock: preciseClock,
      timers: systemTimers,
      log: this.#log,
    });
  }

  async #openEventPlane(component: string): Promise<void> {
    const { settings } = this.#settings;
    const feed = this.#feed;
    if (feed === null) return;
    const open = await EVENT_PLANES[settings.eventPlane]!.load();
    const transport = await open({
      settings,
      component,
      publisherId: instanceNumber(this.#addresses.instance),
      back: () => feed.changed(),
      timers: systemTimers,
      log: this.#log,
    });
    this.#log.info('events go by', { plane: settings.eventPlane, ...transport.addresses });
    feed.start(transport);
  }

  /** What both ends of the prefill queue are made of. */
  #queueEnd() {
    const { settings } = this.#settings;
    const { platformUrl } = this.#discovery;
    const { fleetToken, namespace } = settings;
    const callMs = workerLimits.prefillCallMs;
    return {
      queue: new HttpQueueClient({ platformUrl, namespace, fleetToken, callMs, fetcher: this.#fetch }),
      grpcAddress: () => this.#addresses.grpc,
      model: this.#engine.info.card.name,
      random: Math.random,
      log: this.#log,
    };
  }

  /** A worker with prompts that wait in its engine takes no more. */
  #makeConsumer(): QueueConsumer | null {
    const { prefillHandoff, workerType } = this.#settings.settings;
    if (prefillHandoff !== 'queue' || workerType !== 'prefill') return null;
    const most = workerLimits.prefillJobsAtOnce;
    const consumer: QueueConsumer = new QueueConsumer({
      ...this.#queueEnd(),
      instanceId: this.#addresses.instance,
      room: () => (this.#engine.load().waiting > 0 ? 0 : most - consumer.active),
      compute: computeOn(this.#worker),
      clock: preciseClock,
      timers: systemTimers,
    });
    return consumer;
  }

  #makeWorker(events: WorkerEvents, progress: ProgressBook, metrics: Metrics): Worker {
    const exchange = () => this.#exchange;
    return {
      instanceId: this.#addresses.instance,
      engine: this.#engine,
      lifecycle: this.#lifecycle,
      admission: new Admission(workerLimits.concurrentRequests),
      progress,
      events,
      clock: preciseClock,
      timers: systemTimers,
      limits: workerLimits,
      metrics: countedBy(metrics, this.#settings.settings.nvmlLibrary),
      records: platformRecords({
        platformUrl: this.#discovery.platformUrl,
        fleetToken: this.#settings.settings.fleetToken,
        timeoutMs: workerLimits.storeResponseTimeoutMs,
        fetcher: this.#fetch,
        log: this.#log,
      }),
      get remotePrefill() {
        return exchange()?.remotePrefill ?? null;
      },
      startedMs: preciseClock.nowMs(),
      drain: (deadlineMs) => void this.drain(deadlineMs),
    };
  }

  #welcomed(): void {
    this.#lifecycle.advance('registered');
    this.#lifecycle.advance('serving');
    this.#consumer?.start();
  }

  async #drain(deadlineMs: number): Promise<void> {
    const { admission } = this.#worker;
    this.#lifecycle.advance('draining');
    this.#fleet?.draining();
    const hidden = this.#discovery.leave();
    const deadline = Promise.withResolvers<void>();
    const cut = new AbortController();
    const cancel = systemTimers.after(deadlineMs, () => {
      cut.abort();
      deadline.resolve();
    });
    const given = this.#consumer?.drain(cut.signal);
    await Promise.race([Promise.all([admission.idle(), given]), deadline.promise]);
    cancel();
    admission.cutAll();
    await this.#exchange?.close();
    await this.#engine.stop();
    await this.#feed?.close();
    await this.#fleet?.leave();
    await this.#requests?.close();
    await hidden;
    this.#http.close();
    this.#http.closeAllConnections();
    this.#grpc.forceShutdown();
    this.#lifecycle.advance('gone');
  }
}

/** What the worker counts, and beside it what its GPUs do. */
function countedBy(metrics: Metrics, nvmlLibrary: string): WorkerMetrics {
  const counted = workerMetrics(metrics);
  gpuMetrics(metrics, { library: nvmlLibrary, clock: preciseClock });
  return counted;
}

/** With `object` the platform tells everybody, and was named to this worker. */
function discoveryOf({ platformUrl, settings, tls }: SidecarSettings, log: Logger): WorkerDiscovery {
  const { fleetToken, leaseMs, namespace } = settings;
  const options = {
    leaseMs,
    fleetToken,
    tls,
    clock: wallClock,
    timers: systemTimers,
    random: Math.random,
    log,
  };
  const discovery = settings.discovery === 'object' ? null : openDiscovery(settings.discovery, options);
  return new WorkerDiscovery({ discovery, platformUrl, namespace, log });
}
