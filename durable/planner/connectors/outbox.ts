/**
 * Orders for somebody outside: the newest one waits here until whoever executes it has said what became of it (semantics
 * §8.7, Dynamo's virtual connector). Who asks again, after a restart of either side, gets the newest order again.
 *
 * One executes at a time: whoever asked last is the executor for a while, and others are told so. The same name is the same
 * executor, so one that was restarted goes on at once. Only the newest order counts; a completion of an older one changes
 * nothing.
 */

import type { Host } from '../../platform/host.ts';
import { LIMITS } from '../../runtime/limits.ts';
import type { Completion, KeptOrder, OrderWish, Refused } from '../rpc.ts';
import type { Order, Progress } from './connector.ts';

/** Where the newest order is kept. */
export interface OutboxDisk {
  read(): KeptOrder | null;
  write(kept: KeptOrder): void;
}

export class Outbox {
  readonly #disk: OutboxDisk;
  readonly #host: Host;
  readonly #waiting = new Set<() => void>();
  #kept: KeptOrder | null;
  /** Who executes, until when. */
  #executor: { name: string; untilMs: number } | null = null;

  constructor(disk: OutboxDisk, host: Host) {
    this.#disk = disk;
    this.#host = host;
    this.#kept = disk.read();
  }

  get newest(): KeptOrder | null {
    return this.#kept;
  }

  get progress(): Progress {
    if (this.#kept === null) return { kind: 'none' };
    const { outcome, why } = this.#kept;
    if (outcome === 'given_up') return { kind: 'failed', why: 'it did not end' };
    return outcome === 'failed' ? { kind: 'failed', why } : { kind: outcome };
  }

  /** The executor that asked of late; null when nobody does. */
  get executor(): string | null {
    const held = this.#executor;
    return held !== null && this.#host.nowMs() < held.untilMs ? held.name : null;
  }

  /** Idempotent by id; an older order than the newest changes nothing. */
  put(order: Order): void {
    if (this.#kept !== null && order.id <= this.#kept.order.id) return;
    this.#keep({ order, issuedMs: this.#host.nowMs(), outcome: 'pending', why: '' });
    for (const look of [...this.#waiting]) look();
  }

  /** The newest order if the caller does not have it; null when none came in time. */
  wait({ after, waitMs, executor }: OrderWish): Promise<KeptOrder | Refused | null> {
    const boundedMs = Math.min(waitMs, LIMITS.plannerWaitMs);
    const refused = this.#execute(executor, boundedMs);
    if (refused !== null) return Promise.resolve(refused);
    const news = () => (this.#kept !== null && this.#kept.order.id > after ? this.#kept : null);
    const now = news();
    if (now !== null || boundedMs <= 0 || this.#waiting.size >= LIMITS.plannerPollers)
      return Promise.resolve(now);
    return new Promise((resolve) => {
      const look = () => {
        if (this.#waiting.delete(look)) resolve(news());
      };
      this.#waiting.add(look);
      this.#host.after(boundedMs, look);
    });
  }

  complete(
    id: number,
    { failed, executor }: { failed: string | null; executor: string },
  ): Completion | Refused {
    const refused = this.#execute(executor, 0);
    if (refused !== null) return refused;
    const kept = this.#kept;
    if (kept === null || id > kept.order.id) {
      return { refused: 'not_found', message: `There is no order ${id}.` };
    }
    if (id < kept.order.id) return { id, outcome: 'superseded' };
    const outcome = failed === null ? 'done' : 'failed';
    if ((kept.outcome === 'done' || kept.outcome === 'failed') && kept.outcome !== outcome) {
      return { refused: 'conflict', message: `Order ${id} is ${kept.outcome} already.` };
    }
    this.#keep({ ...kept, outcome, why: (failed ?? '').slice(0, LIMITS.plannerWhyLength) });
    return { id, outcome };
  }

  /** Nobody waits for this order any more; whoever executes it may still say that it is done. */
  giveUp(id: number): void {
    const kept = this.#kept;
    if (kept?.order.id === id && kept.outcome === 'pending') this.#keep({ ...kept, outcome: 'given_up' });
  }

  /** The caller executes from now on, unless somebody else does. */
  #execute(name: string, waitMs: number): Refused | null {
    const holder = this.executor;
    if (holder !== null && holder !== name) {
      const message = `'${holder}' executes the orders of this namespace; '${name}' may once it has been silent for a while.`;
      return { refused: 'conflict', message };
    }
    this.#executor = { name, untilMs: this.#host.nowMs() + waitMs + LIMITS.plannerExecutorMs };
    return null;
  }

  #keep(kept: KeptOrder): void {
    this.#disk.write(kept);
    this.#kept = kept;
  }
}
