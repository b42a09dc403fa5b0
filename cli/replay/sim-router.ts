/** A router as the simulator asks it; time moves only forward. */

import type { RouteDecision, RouteRefusal, RouteRequest } from '../../durable/router/rpc.ts';
import type { SimWorkerCard } from './fleet-hello.ts';

export type Decided = (answer: RouteDecision | RouteRefusal, nowMs: number) => void;

/** A worker's connection to its router. */
export interface SimLink {
  send(frame: Uint8Array, nowMs: number): void;
  /** The worker ends the connection in good order. */
  leave(nowMs: number): void;
}

export interface SimRouter {
  /** A worker joins, with an empty cache. */
  join(worker: SimWorkerCard, nowMs: number): SimLink;
  /** `decided` hears the answer, now or when a request that had to wait may go. */
  route(request: RouteRequest, nowMs: number, decided: Decided): void;
  dispose(): void;
}
