/**
 * One wait for a ticket, as a promise: its answer, or the ticket again after at most `LIMITS.ticketWaitMs`. It runs inside
 * the object, whose calls, timers and sockets are one context, so any of its events may settle the promise. Nothing else may:
 * settled from a function, workerd throws "Cannot perform I/O on behalf of a different Durable Object", so nobody calls the
 * object directly while somebody waits (nearby.ts).
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
