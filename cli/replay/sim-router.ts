/** A router as the simulator asks it; time moves only forward. */

import type { RouteDecision, RouteRefusal, RouteRequest } from '../../durable/router/rpc.ts';
import type { SimWorkerCard } from './fleet-hello.ts';

export type Decided = (answer: RouteDecision | RouteRefusal, nowMs: number) => void;

export interface SimRouter {
  /** A worker joins, with an empty cache; returns how its frames are sent. */
  join(worker: SimWorkerCard): (frame: Uint8Array, nowMs: number) => void;
  /** `decided` hears the answer, now or when a request that had to wait may go. */
  route(request: RouteRequest, nowMs: number, decided: Decided): void;
  dispose(): void;
}
