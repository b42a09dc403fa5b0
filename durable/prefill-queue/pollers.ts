/**
 * Calls that wait, each for a topic, in the order in which they came. One at a time of each owner: a later call ends the
 * earlier one, whose caller is gone. They are bounded in number and time.
 */

import type { Host } from '../platform/host.ts';
import { LIMITS } from '../runtime/limits.ts';

interface Poller {
  topic: string;
  owner: string;
  /** Answers and returns true if there is something, or if this is the end. */
  look(end: boolean): boolean;
}

export class Pollers {
  readonly #host: Host;
  readonly #topics = new Map<string, Set<Poller>>();
  readonly #owners = new Map<string, Poller>();

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * Resolves with the first answer of `look`, which is asked at each `wake` of the topic. At the end it is asked with true, and
   * must answer.
   */
  poll<T>(
    { owner, topic, waitMs }: { owner: string; topic: string; waitMs: number },
    look: (end: boolean) => T | null,
  ): Promise<T> {
    this.end(owner);
    const now = look(false);
    if (now !== null) return Promise.resolve(now);
    if (waitMs <= 0 || this.#owners.size >= LIMITS.prefillPollers) return Promise.resolve(look(true)!);
    return new Promise((resolve) => {
      const poller: Poller = {
        topic,
        owner,
        look(end) {
          const answer = look(end);
          if (answer !== null) resolve(answer);
          return answer !== null;
        },
      };
      this.#owners.set(owner, poller);
      const pollers = this.#topics.get(topic) ?? new Set();
      this.#topics.set(topic, pollers.add(poller));
      this.#host.after(Math.min(waitMs, LIMITS.prefillWaitMs), () => this.#finish(poller));
    });
  }

  /** Its caller is gone. */
  end(owner: string): void {
    const poller = this.#owners.get(owner);
    if (poller !== undefined) this.#finish(poller);
  }

  /** There may be something. Who finds nothing leaves nothing to those behind. */
  wake(topic: string): void {
    for (const poller of this.#topics.get(topic) ?? []) {
      if (!poller.look(false)) return;
      this.#remove(poller);
    }
  }

  #finish(poller: Poller): void {
    if (this.#remove(poller)) poller.look(true);
  }

  #remove(poller: Poller): boolean {
    const pollers = this.#topics.get(poller.topic);
    if (!pollers?.delete(poller)) return false;
    if (pollers.size === 0) this.#topics.delete(poller.topic);
    this.#owners.delete(poller.owner);
    return true;
  }
}
