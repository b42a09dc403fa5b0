/**
 * The places that workers of one start have on this machine: which are taken, for which role, and how far each worker is. A
 * place is a number; its worker's log, gRPC port and disk folder go by it, and it is given away again once its worker is gone.
 *
 *     free → starting → serving → leaving → free
 *
 * Bookkeeping only: `deployment.ts` has the processes.
 */

import type { Settings } from '../../durable/runtime/config.ts';
import { StatorError } from '../../durable/runtime/errors.ts';

export type WorkerType = Settings['workerType'];

interface Taken {
  role: WorkerType;
  phase: 'starting' | 'serving' | 'leaving';
  /** Rising: who came last leaves first. */
  order: number;
  started: PromiseWithResolvers<void>;
}

export class WorkerPlaces {
  readonly #places: (Taken | null)[] = [];
  #taken = 0;

  /** The lowest place that nobody has. */
  take(role: WorkerType): number {
    const free = this.#places.indexOf(null);
    const place = free === -1 ? this.#places.length : free;
    const started = Promise.withResolvers<void>();
    // Not everybody asks how a start ends.
    started.promise.catch(() => {});
    this.#places[place] = { role, phase: 'starting', order: this.#taken++, started };
    return place;
  }

  /** Resolves when the worker serves. Rejects with StatorError when it cannot, or is told to leave before. */
  started(place: number): Promise<void> {
    return this.#at(place).started.promise;
  }

  /** Also after a restart, which changes nothing. */
  serves(place: number): void {
    const taken = this.#places[place];
    if (!taken || taken.phase === 'leaving') return;
    taken.phase = 'serving';
    taken.started.resolve();
  }

  /** It will not serve: `why` in words. */
  fails(place: number, why: string): void {
    this.#places[place]?.started.reject(new StatorError('worker_unavailable', why));
  }

  /** It was told to end. False: somebody told it before. */
  leaves(place: number): boolean {
    const taken = this.#at(place);
    if (taken.phase === 'leaving') return false;
    taken.phase = 'leaving';
    this.fails(place, 'the worker was stopped before it served');
    return true;
  }

  /** Its process is gone for good. */
  left(place: number): void {
    this.fails(place, 'the worker ended before it served');
    this.#places[place] = null;
  }

  /** Workers of a role that serve or start, in the order of their coming. */
  staying(role: WorkerType): number[] {
    return [...this.#places.entries()]
      .filter(([, taken]) => taken?.role === role && taken.phase !== 'leaving')
      .sort(([, a], [, b]) => a!.order - b!.order)
      .map(([place]) => place);
  }

  #at(place: number): Taken {
    const taken = this.#places[place];
    if (!taken) throw new StatorError('internal', `no worker has place ${place}`);
    return taken;
  }
}
