/**
 * One wait for a ticket, as a promise: its answer, or the ticket again after at most `LIMITS.ticketWaitMs`. It runs inside
 * the object, whose waits, timers and sockets are one context, so the promise may be settled by any of its events; a
 * function that waits does so by this RPC and never on a promise of another request (docs/decisions/0002).
 */

import type { Host } from '../../platform/host.ts';
import type { RouteAnswer } from '../rpc.ts';
import type { Wake } from './tickets.ts';

interface Waitable {
  wait(ticket: number, wake: Wake): RouteAnswer | null;
  unwait(ticket: number, wake: Wake): boolean;
  waitMs(ticket: number): number;
}

export function waitForTicket(router: Waitable, host: Host, ticket: number): Promise<RouteAnswer> {
  return new Promise((resolve) => {
    const answer = router.wait(ticket, resolve);
    if (answer !== null) resolve(answer);
    else {
      host.after(router.waitMs(ticket), () => {
        if (router.unwait(ticket, resolve)) resolve({ kind: 'ticket', ticket });
      });
    }
  });
}
