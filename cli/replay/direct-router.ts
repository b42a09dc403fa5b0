/**
 * The real router core in virtual time, called directly: its fleet connections take real frames, `route` is a plain call.
 * `object-router.ts` is the same with the whole Router object around it; both give the same results.
 */

import { FleetConnection } from '../../durable/router/fleet-connection.ts';
import { policyOf } from '../../durable/router/policy.ts';
import { RouterCore } from '../../durable/router/router.ts';
import type { RouteAnswer, RouteRequest } from '../../durable/router/rpc.ts';
import { wasmIndexes } from '../../durable/router/wasm-indexes.ts';
import { ManualClock } from '../../durable/runtime/clock.ts';
import type { Settings } from '../../durable/runtime/config.ts';
import { Logger } from '../../durable/runtime/log.ts';
import { emptyDumpFrame, registerFrame, type SimWorkerCard } from './fleet-hello.ts';

/** A router as the simulator asks it; time moves only forward. */
export interface SimRouter {
  /** A worker joins, with an empty cache; returns how its frames are sent. */
  join(worker: SimWorkerCard): (frame: Uint8Array, nowMs: number) => void;
  route(request: RouteRequest, nowMs: number): RouteAnswer;
  dispose(): void;
}

export class DirectRouter implements SimRouter {
  readonly #clock = new ManualClock();
  readonly #core: RouterCore;

  constructor(settings: Settings, random: () => number) {
    this.#core = new RouterCore({
      policy: policyOf(settings, random),
      clock: this.#clock,
      indexes: wasmIndexes,
      log: new Logger({ component: 'replay', write: () => {} }),
      leaseMs: settings.leaseMs,
      metricsPrefix: settings.metricsPrefix,
      changed: () => {},
    });
  }

  join(worker: SimWorkerCard): (frame: Uint8Array, nowMs: number) => void {
    const connection = new FleetConnection(
      this.#core,
      { send: () => {}, close: refuse },
      this.#clock.nowMs(),
    );
    connection.receive(registerFrame(worker), this.#clock.nowMs());
    if (worker.publishesKvEvents) connection.receive(emptyDumpFrame(), this.#clock.nowMs());
    return (frame, nowMs) => connection.receive(frame, nowMs);
  }

  route(request: RouteRequest, nowMs: number): RouteAnswer {
    this.#clock.advance(nowMs - this.#clock.nowMs());
    return this.#core.route(request);
  }

  dispose(): void {
    this.#core.dispose();
  }
}

function refuse(code: number, reason: string): never {
  throw new Error(`the router closed a simulated worker's connection: ${code} ${reason}`);
}
