/**
 * The queue of one model: its classes and the ring over them. Entries keep their place in time when the policy changes;
 * only their class, score and deadline are made anew.
 */

import { ClassQueue, type Readiness } from './class-queue.ts';
import { DeficitRoundRobin } from './deficit-round-robin.ts';
import type { QueueEntry } from './entry.ts';
import { Patience } from './patience.ts';
import type { PolicyProfile } from './policy-profile.ts';

export class ModelQueue {
  readonly modelName: string;
  readonly patience = new Patience();
  readonly #readiness: Readiness;
  #profile: PolicyProfile;
  #classes: readonly ClassQueue[];
  #ring: DeficitRoundRobin<QueueEntry>;
  #size = 0;

  constructor(modelName: string, profile: PolicyProfile, readiness: Readiness) {
    this.modelName = modelName;
    this.#readiness = readiness;
    this.#profile = profile;
    this.#classes = profile.classes.map((policy) => new ClassQueue(policy, readiness));
    this.#ring = new DeficitRoundRobin(this.#classes);
  }

  get profile(): PolicyProfile {
    return this.#profile;
  }

  get classes(): readonly ClassQueue[] {
    return this.#classes;
  }

  /** Requests that wait. */
  get size(): number {
    return this.#size;
  }

  add(entry: QueueEntry): void {
    this.#classes[entry.classIndex]!.add(entry);
    this.#size++;
  }

  remove(entry: QueueEntry): void {
    const from = this.#classes[entry.classIndex]!;
    from.take(entry);
    if (from.isEmpty) from.deficit = 0;
    this.#size--;
  }

  /** Takes who is next; null when nobody can go. */
  next(): QueueEntry | null {
    const entry = this.#ring.next();
    if (entry !== null) this.#size--;
    return entry;
  }

  /** Everybody in a class of the new profile; nobody is refused. */
  reclassify(profile: PolicyProfile): void {
    const waiting = [...this.#classes].flatMap(({ entries }) => [...entries]);
    waiting.sort((a, b) => a.sequence - b.sequence);
    this.#profile = profile;
    this.#classes = profile.classes.map((policy) => new ClassQueue(policy, this.#readiness));
    this.#ring = new DeficitRoundRobin(this.#classes);
    this.#size = 0;
    for (const entry of waiting) {
      const { rawIslTokens, cachedTokens } = entry;
      entry.classIndex = profile.classify(entry.request.policyClass, () => rawIslTokens - cachedTokens);
      this.add(entry);
    }
  }
}
