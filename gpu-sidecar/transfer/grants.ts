/**
 * Who may have blocks of this worker, and until when. A grant begins with a pull and ends with it, with its release, with the
 * reader's connection, or when its lease runs out; with its end its signal aborts, and whatever works for it lets go.
 */

import { randomBytes } from 'node:crypto';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Timers } from '../timers.ts';
import { CAPABILITY_BYTES, type PushGrant } from './backend.ts';
import { TransferFault } from './fault.ts';
import type { TransferMetrics } from './transfer-metrics.ts';

export class Grant implements PushGrant {
  readonly capability: Uint8Array = randomBytes(CAPABILITY_BYTES);
  readonly leaseMs: number;
  readonly #ending = new AbortController();
  readonly #timers: Timers;
  readonly #ended: () => void;
  #cancel: () => void = () => {};

  constructor(leaseMs: number, timers: Timers, ended: () => void) {
    this.leaseMs = leaseMs;
    this.#timers = timers;
    this.#ended = ended;
    this.renew();
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  renew(): void {
    this.#cancel();
    if (this.signal.aborted) return;
    this.#cancel = this.#timers.after(this.leaseMs, () => this.end(new TransferFault('lease_ended')));
  }

  /** Once; `why` becomes the signal's reason. */
  end(why: TransferFault | null): void {
    if (this.signal.aborted) return;
    this.#cancel();
    this.#ending.abort(why);
    this.#ended();
  }
}

export class GrantBook {
  readonly #live = new Map<string, Grant>();
  readonly #timers: Timers;
  readonly #metrics: TransferMetrics;

  constructor(timers: Timers, metrics: TransferMetrics) {
    this.#timers = timers;
    this.#metrics = metrics;
  }

  /** `leaseMs`: as wished, within bounds. Throws `refused` when there are too many. */
  open(leaseMs: number): Grant {
    if (this.#live.size >= LIMITS.transferGrants)
      throw new TransferFault('refused', `${this.#live.size} readers are served already`);
    const bounded = Math.min(leaseMs || LIMITS.transferLeaseMs, LIMITS.transferLeaseMs);
    const grant: Grant = new Grant(bounded, this.#timers, () => {
      this.#live.delete(keyOf(grant.capability));
      this.#metrics.grants(-1);
    });
    this.#live.set(keyOf(grant.capability), grant);
    this.#metrics.grants(1);
    return grant;
  }

  has(capability: Uint8Array): boolean {
    return this.#live.has(keyOf(capability));
  }

  get size(): number {
    return this.#live.size;
  }

  endAll(): void {
    for (const grant of this.#live.values()) grant.end(new TransferFault('unreachable', 'the source leaves'));
  }
}

const keyOf = (capability: Uint8Array): string => Buffer.from(capability).toString('hex');
