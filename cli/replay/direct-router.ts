/**
 * The real router core in virtual time, called directly: its fleet connections take real frames, `route` is a plain call.
 * `object-router.ts` is the same with the whole Router object around it; both give the same results.
 */

import { CLOSE, FleetConnection } from '../../durable/router/fleet-connection.ts';
import { policyOf } from '../../durable/router/policy.ts';
import { configuredPolicy } from '../../durable/router/queue/configured-policy.ts';
import { RouterCore } from '../../durable/router/router.ts';
import type { RouteAnswer, RouteRequest } from '../../durable/router/rpc.ts';
import { wasmIndexes } from '../../durable/router/wasm-indexes.ts';
import { ManualClock } from '../../durable/runtime/clock.ts';
import type { Settings } from '../../durable/runtime/config.ts';
import { Logger } from '../../durable/runtime/log.ts';
import { emptyDumpFrame, registerFrame, type SimWorkerCard } from './fleet-hello.ts';
import type { Decided, SimLink, SimRouter } from './sim-router.ts';

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
      queuePolicy: configuredPolicy(settings),
      changed: () => {},
    });
  }

  join(worker: SimWorkerCard, nowMs: number): SimLink {
    this.#now(nowMs);
    const connection = new FleetConnection(this.#core, { send: () => {}, close: refuse }, nowMs);
    connection.receive(registerFrame(worker), nowMs);
    if (worker.publishesKvEvents) connection.receive(emptyDumpFrame(), nowMs);
    return {
      send: (frame, sentMs) => {
        this.#now(sentMs);
        connection.receive(frame, sentMs);
      },
      leave: (leftMs) => {
        this.#now(leftMs);
        connection.closed(CLOSE.normal, leftMs);
      },
    };
  }

  route(request: RouteRequest, nowMs: number, decided: Decided): void {
    this.#now(nowMs);
    const answer = this.#core.route(request);
    if (answer.kind !== 'ticket') decided(answer, nowMs);
    else this.#wait(answer.ticket, decided);
  }

  /** A ticket's answer comes in the turn of a frame that frees a worker. */
  #wait(ticket: number, decided: Decided): void {
    const hear = (answer: RouteAnswer | null) => {
      if (answer !== null && answer.kind !== 'ticket') decided(answer, this.#clock.nowMs());
    };
    hear(this.#core.wait(ticket, hear));
  }

  #now(nowMs: number): void {
    this.#clock.advance(nowMs - this.#clock.nowMs());
  }

  dispose(): void {
    this.#core.dispose();
  }
}

function refuse(code: number, reason: string): never {
  throw new Error(`the router closed a simulated worker's connection: ${code} ${reason}`);
}
