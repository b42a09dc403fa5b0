/**
 * One sidecar: an engine, two listeners and a fleet socket, tied to one lifecycle. `main.ts` is the process around it.
 *
 * Start: engine, listeners, then the router is told. End: no new requests, the running ones finish or are cut off at
 * the deadline (the platform continues them elsewhere), the router hears the rest, everything closes.
 */

import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import type { Clock } from '../durable/runtime/clock.ts';
import { StatorError } from '../durable/runtime/errors.ts';
import { IdSource } from '../durable/runtime/ids.ts';
import type { Logger } from '../durable/runtime/log.ts';
import { Metrics } from '../durable/runtime/metrics.ts';
import { gpuMetrics } from './cuda/gpu-metrics.ts';
import type { Engine } from './engines/engine.ts';
import { FleetClient } from './fleet/client.ts';
import { Outbox } from './fleet/outbox.ts';
import { ProgressBook } from './fleet/progress.ts';
import type { Refusal } from './fleet/refusal.ts';
import { registerFrame } from './fleet/register.ts';
import { WorkerEvents } from './fleet/worker-events.ts';
import { Lifecycle, type LifecyclePhase } from './lifecycle.ts';
import { Admission } from './server/admission.ts';
import { Bearer } from './server/bearer.ts';
import { createGrpcServer } from './server/grpc.ts';
import { createHttpServer } from './server/http.ts';
import { serveKserve } from './server/kserve/service.ts';
import { nameParsers } from './server/parser-options.ts';
import { PlatformCaller } from './server/platform-call.ts';
import { platformRecords } from './server/response-records.ts';
import { serveRouter } from './server/router-front.ts';
import type { Worker } from './server/worker.ts';
import { workerLimits } from './server/worker-limits.ts';
import { type WorkerMetrics, workerMetrics } from './server/worker-metrics.ts';
import type { SidecarSettings } from './settings.ts';
import { systemTimers } from './timers.ts';
import type { FleetTls } from './tls/fleet-tls.ts';
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
  #fleet: FleetClient | null = null;
  #addresses: SidecarAddresses;
  #end: Promise<void> | null = null;

  constructor(settings: SidecarSettings, engine: Engine, hooks: SidecarHooks, log: Logger) {
    this.#settings = settings;
    this.#fetch = settings.tls === null ? fetch : tlsFetch(settings.tls);
    this.#engine = engine;
    this.#hooks = hooks;
    this.#log = log;
    nameParsers(engine.info.card, settings.settings);
    this.#addresses = { http: '', grpc: '', instance: new IdSource().instanceId() };
    this.#lifecycle = new Lifecycle((phase) => hooks.phase(phase, this.#addresses));
    const changed = (idle?: boolean): void => this.#fleet?.changed(idle);
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
      frameBytes: workerLimits.fleetFrameBytes,
    });
    this.#worker = this.#makeWorker(events, progress);
    const bearer = new Bearer(settings.settings.fleetToken);
    this.#http = createHttpServer(this.#worker, bearer, settings.tls);
    this.#grpc = createGrpcServer(this.#worker, bearer);
    const platform = new PlatformCaller(settings.platformUrl, this.#fetch);
    serveRouter(this.#grpc, platform);
    serveKserve(this.#grpc, platform);
    engine.onKvEvents(events);
  }

  get addresses(): SidecarAddresses {
    return this.#addresses;
  }

  /** Opens the listeners and dials the platform; the phases tell the rest. Throws when a port cannot be taken. */
  async start(): Promise<void> {
    const { fleetUrl, grpcPort, host, httpPort, settings, tls } = this.#settings;
    const httpBound = await listenHttp(this.#http, host, httpPort);
    const grpcBound = await listenGrpc(this.#grpc, { host, port: grpcPort, tls });
    const name = host.includes(':') ? `[${host}]` : host;
    const { instance } = this.#addresses;
    this.#addresses = {
      http: `${tls === null ? 'http' : 'https'}://${name}:${httpBound}`,
      grpc: `${name}:${grpcBound}`,
      instance,
    };
    const identity = {
      instanceId: instance,
      epoch: Math.floor(this.#worker.startedMs),
      httpAddress: this.#addresses.http,
      grpcAddress: this.#addresses.grpc,
    };
    this.#fleet = new FleetClient({
      url: fleetUrl,
      token: settings.fleetToken,
      tls,
      register: registerFrame(identity, this.#engine.info, settings.workerTaints),
      outbox: this.#outbox,
      dump: () => this.#worker.events.dump(),
      snapshotPiece: (piece) => this.#worker.events.snapshotPiece(piece),
      commands: {
        welcomed: () => this.#welcomed(),
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

  #makeWorker(events: WorkerEvents, progress: ProgressBook): Worker {
    const metrics = new Metrics({ prefix: this.#settings.settings.metricsPrefix });
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
        platformUrl: this.#settings.platformUrl,
        fleetToken: this.#settings.settings.fleetToken,
        timeoutMs: workerLimits.storeResponseTimeoutMs,
        fetcher: this.#fetch,
        log: this.#log,
      }),
      startedMs: preciseClock.nowMs(),
      drain: (deadlineMs) => void this.drain(deadlineMs),
    };
  }

  #welcomed(): void {
    this.#lifecycle.advance('registered');
    this.#lifecycle.advance('serving');
  }

  async #drain(deadlineMs: number): Promise<void> {
    const { admission } = this.#worker;
    this.#lifecycle.advance('draining');
    this.#fleet?.draining();
    const deadline = Promise.withResolvers<void>();
    const cancel = systemTimers.after(deadlineMs, deadline.resolve);
    await Promise.race([admission.idle(), deadline.promise]);
    cancel();
    admission.cutAll();
    await this.#engine.stop();
    await this.#fleet?.leave();
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

function listenHttp(server: HttpServer, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(error, host, port)));
    server.listen(port, host, 1024, () => resolve((server.address() as AddressInfo).port));
  });
}

function listenGrpc(
  server: GrpcServer,
  { host, port, tls }: { host: string; port: number; tls: FleetTls | null },
): Promise<number> {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, grpcCredentials(tls), (error, bound) => {
      if (error) reject(cannotListen(error, host, port));
      else resolve(bound);
    });
  });
}

/** With TLS whoever comes must show a certificate of the fleet. */
function grpcCredentials(tls: FleetTls | null): ServerCredentials {
  if (tls === null) return ServerCredentials.createInsecure();
  const own = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  return ServerCredentials.createSsl(Buffer.from(tls.ca), [own], true);
}

const cannotListen = (cause: Error, host: string, port: number): StatorError =>
  new StatorError('invalid_request', `cannot listen on ${host}:${port}: ${cause.message}`, { cause });
