/**
 * Waits for a GPU without a thread that waits: all that is waited for is asked once a turn of the event loop, at first turn after
 * turn, later every millisecond. Small copies end within the first turns; large ones are not worth a busy loop, and
 * the sidecar's other work goes on either way. An asynchronous call would take one of libuv's four threads, which the engine
 * needs.
 */

import { LIMITS } from '../../durable/runtime/limits.ts';
import { systemTimers, type Timers } from '../timers.ts';

interface Waiting {
  /** Throws when it will never be so. */
  ready: () => boolean;
  polls: number;
  resolve: () => void;
  reject: (reason: unknown) => void;
}

export class Poller {
  readonly #timers: Timers;
  #waiting: Waiting[] = [];
  /** Takes back a slow next turn in favour of a quick one; null while the next is quick. */
  #pace: (() => void) | null = null;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves soon after `ready` first says true, at once when it is so now; rejects with what it throws. */
  until(ready: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const one = { ready, polls: 0, resolve, reject };
    if (!settled(one)) {
      this.#waiting.push(one);
      if (this.#waiting.length === 1) this.#next();
      // A new one is asked turn after turn, whatever the others' pace.
      else this.#pace?.();
    }
    return promise;
  }

  #next(): void {
    const quick = this.#waiting.some(({ polls }) => polls < LIMITS.gpuQuickPolls);
    if (quick) {
      this.#timers.endOfTurn(() => this.#turn());
      return;
    }
    const cancel = this.#timers.after(LIMITS.gpuPollMs, () => this.#turn());
    this.#pace = () => {
      cancel();
      this.#pace = null;
      this.#timers.endOfTurn(() => this.#turn());
    };
  }

  #turn(): void {
    this.#pace = null;
    this.#waiting = this.#waiting.filter((one) => !settled(one));
    if (this.#waiting.length > 0) this.#next();
  }
}

/** Asks once; true when the wait is over. */
function settled(one: Waiting): boolean {
  one.polls++;
  try {
    if (!one.ready()) return false;
    one.resolve();
  } catch (thrown) {
    one.reject(thrown);
  }
  return true;
}

const poller = new Poller(systemTimers);

export const pollUntil = (ready: () => boolean): Promise<void> => poller.until(ready);
