/**
 * A component as a running worker: two listeners, its endpoints in discovery, canaries, an orderly end.
 *
 * The canary is the worker's own: a small request over its own listener, at the address that others use, when nobody was
 * answered for a while. An endpoint that fails it is taken out of discovery, in every backend alike, and comes back when it answers. A
 * process that stands still altogether falls to its lease; one that cannot be reached, to its clients.
 */

import type { Server as HttpServer } from 'node:http';
import type { Server as GrpcServer } from '@grpc/grpc-js';
import type { Clock } from '../../durable/runtime/clock.ts';
import { IdSource } from '../../durable/runtime/ids.ts';
import {
  type Instance,
  instanceKey,
  instanceRecord,
  parseEndpointName,
} from '../../durable/runtime/instance.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Logger } from '../../durable/runtime/log.ts';
import { Metrics } from '../../durable/runtime/metrics.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { Admission } from '../server/admission.ts';
import { Bearer } from '../server/bearer.ts';
import { hostPort, listenGrpc, listenHttp } from '../server/listen.ts';
import type { Timers } from '../timers.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';
import { type Fetch, tlsFetch } from '../tls/tls-fetch.ts';
import { CanaryWatch } from './canary-watch.ts';
import { COMPONENT_CALL, createComponentGrpc } from './component-grpc.ts';
import { COMPONENT_SERVICE, createComponentHttp } from './component-http.ts';
import { componentMetrics } from './component-metrics.ts';
import type { Component } from './define-component.ts';
import { EndpointClient } from './endpoint-client.ts';
import type { CallHost } from './running-call.ts';

export interface ComponentWorkerOptions {
  component: Component;
  discovery: Discovery;
  fleetToken: string;
  tls: FleetTls | null;
  /** Both listeners take it, and others are told it. */
  host: string;
  /** 0 = any free port. */
  httpPort: number;
  grpcPort: number;
  metricsPrefix: string;
  /** Of canaries and the end; calls have the system's own. */
  clock: Clock;
  timers: Timers;
  log: Logger;
}

export interface ComponentAddresses {
  instance: string;
  http: string;
  grpc: string;
}

export class ComponentWorker implements CallHost {
  readonly component: Component;
  readonly admission = new Admission(LIMITS.concurrentRequests);
  readonly metrics;
  readonly #options: ComponentWorkerOptions;
  readonly #instanceId = new IdSource().instanceId();
  readonly #fetch: Fetch;
  readonly #http: HttpServer;
  readonly #grpc: GrpcServer;
  readonly #clients = new Map<string, EndpointClient>();
  readonly #canaries: CanaryWatch;
  #addresses: ComponentAddresses | null = null;
  #end: Promise<void> | null = null;

  constructor(options: ComponentWorkerOptions) {
    const { component, fleetToken, metricsPrefix, tls } = options;
    this.#options = options;
    this.component = component;
    this.#fetch = tls === null ? fetch : tlsFetch(tls);
    const metrics = new Metrics({ prefix: metricsPrefix });
    this.metrics = componentMetrics(metrics);
    const bearer = new Bearer(fleetToken);
    this.#http = createComponentHttp(this, { bearer, metrics, tls });
    this.#grpc = createComponentGrpc(this, bearer);
    this.#canaries = new CanaryWatch(
      component.endpoints.keys(),
      options.clock.nowMs(),
      (endpoint, health) => {
        options.log.warn(health === 'live' ? 'an endpoint answers again' : 'an endpoint does not answer', {
          endpoint,
        });
        void this.#tell(endpoint, health === 'live');
      },
    );
  }

  get isDraining(): boolean {
    return this.#end !== null;
  }

  /** Opens the listeners and says everything to discovery. Throws when a port cannot be taken. */
  async start(): Promise<ComponentAddresses> {
    const { component, grpcPort, host, httpPort, tls } = this.#options;
    const http = await listenHttp(this.#http, host, httpPort);
    const grpc = await listenGrpc(this.#grpc, { host, port: grpcPort, tls });
    this.#addresses = {
      instance: this.#instanceId,
      http: `${tls === null ? 'http' : 'https'}://${hostPort(host, http)}`,
      grpc: hostPort(host, grpc),
    };
    await Promise.all([...component.endpoints.keys()].map((endpoint) => this.#tell(endpoint, true)));
    this.#look();
    return this.#addresses;
  }

  client(address: string): EndpointClient {
    const known = this.#clients.get(address);
    if (known !== undefined) return known;
    if (this.#clients.size >= LIMITS.componentClients) {
      for (const client of this.#clients.values()) client.close();
      this.#clients.clear();
    }
    const { discovery, fleetToken } = this.#options;
    const made = { discovery, fleetToken, fetcher: this.#fetch, random: Math.random };
    const client = new EndpointClient(parseEndpointName(address), made);
    this.#clients.set(address, client);
    return client;
  }

  answered(endpoint: string): void {
    this.#canaries.answered(endpoint, this.#options.clock.nowMs());
  }

  /** Out of discovery, no new calls, the running ones end or are cut off at the deadline. Later calls wait for the first. */
  drain(deadlineMs: number): Promise<void> {
    this.#end ??= this.#drain(deadlineMs);
    return this.#end;
  }

  async #drain(deadlineMs: number): Promise<void> {
    const { discovery, log, timers } = this.#options;
    const gone = discovery.close().catch((error) => log.warn('discovery was not told', { error }));
    const deadline = Promise.withResolvers<void>();
    const cancel = timers.after(deadlineMs, deadline.resolve);
    await Promise.race([this.admission.idle(), deadline.promise]);
    cancel();
    this.admission.cutAll();
    await gone;
    // What was cut off just now is still told so.
    const told = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeIdleConnections();
    await Promise.race([
      told,
      new Promise<void>((resolve) => timers.after(LIMITS.componentGraceMs, resolve)),
    ]);
    this.#http.closeAllConnections();
    this.#grpc.forceShutdown();
  }

  /** Never throws: discovery goes on trying by itself. */
  async #tell(endpoint: string, isThere: boolean): Promise<void> {
    const { discovery, log } = this.#options;
    const instance = this.#instance(endpoint);
    const key = instanceKey(instance);
    try {
      if (this.isDraining) return;
      if (isThere) await discovery.put(key, instanceRecord(instance));
      else await discovery.delete(key);
    } catch (error) {
      log.warn('discovery was not told yet', { key, error });
    }
  }

  #instance(endpoint: string): Instance {
    const { component, namespace } = this.component;
    const { grpc, http, instance } = this.#addresses!;
    return {
      namespace,
      component,
      endpoint,
      instanceId: instance,
      http: `${http}${COMPONENT_SERVICE}${endpoint}`,
      grpc: `${grpc}${COMPONENT_CALL}`,
      idempotent: this.component.endpoints.get(endpoint)?.idempotent === true,
    };
  }

  #look(): void {
    this.#options.timers.after(LIMITS.canaryLookMs, () => {
      if (this.isDraining) return;
      for (const endpoint of this.#canaries.due(this.#options.clock.nowMs())) void this.#ask(endpoint);
      this.#look();
    });
  }

  async #ask(endpoint: string): Promise<void> {
    const { canary } = this.component.endpoints.get(endpoint)!;
    const { http } = this.#addresses!;
    const headers = {
      authorization: `Bearer ${this.#options.fleetToken}`,
      'content-type': 'application/json',
      'x-stator-canary': '1',
      'x-stator-timeout-ms': String(LIMITS.canaryTimeoutMs),
    };
    const signal = AbortSignal.timeout(LIMITS.canaryTimeoutMs);
    const [path, init] =
      canary === undefined
        ? ['/health', { headers, signal }]
        : [COMPONENT_SERVICE + endpoint, { headers, signal, method: 'POST', body: JSON.stringify(canary) }];
    try {
      const response = await this.#fetch(http + path, init);
      // Of a stream its beginning is enough.
      await response.body?.cancel();
      if (response.ok) this.#canaries.answered(endpoint, this.#options.clock.nowMs());
      else this.#canaries.failed(endpoint);
    } catch {
      this.#canaries.failed(endpoint);
    }
  }
}
