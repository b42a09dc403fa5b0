/**
 * Work that waits its turn: higher priority first, then first come; each key waits once. Taken in batches, a bounded number of
 * batches at a time. When it is full, newcomers are turned away: what is not offloaded is computed again.
 */

export interface TransferQueueOptions<Job> {
  /** Must not throw. */
  run: (batch: readonly Job[]) => Promise<void>;
  concurrency: number;
  batch: number;
  capacity: number;
}

/** Priorities 0 to 7; others are cut to these. */
const LEVELS = 8;

export class TransferQueue<Job> {
  readonly #options: TransferQueueOptions<Job>;
  readonly #levels: Map<bigint, Job>[] = Array.from({ length: LEVELS }, () => new Map());
  readonly #idle: (() => void)[] = [];
  #waiting = 0;
  #running = 0;
  #scheduled = false;

  constructor(options: TransferQueueOptions<Job>) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** false when the queue is full. */
  offer(key: bigint, job: Job, priority = 0): boolean {
    if (this.#levels.some((level) => level.has(key))) return true;
    if (this.#waiting >= this.#options.capacity) return false;
    this.#levels[Math.min(Math.max(Math.trunc(priority), 0), LEVELS - 1)]!.set(key, job);
    this.#waiting++;
    this.#schedule();
    return true;
  }

  /** Forgets what waits. */
  clear(): void {
    for (const level of this.#levels) level.clear();
    this.#waiting = 0;
  }

  /** When nothing waits or runs. */
  whenIdle(): Promise<void> {
    if (this.#waiting + this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** After the caller's turn, so that what is offered together goes together. */
  #schedule(): void {
    if (this.#scheduled || this.#running >= this.#options.concurrency) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      while (this.#waiting > 0 && this.#running < this.#options.concurrency) void this.#runOne();
      if (this.#waiting + this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  async #runOne(): Promise<void> {
    this.#running++;
    await this.#options.run(this.#take());
    this.#running--;
    this.#schedule();
  }

  #take(): Job[] {
    const batch: Job[] = [];
    for (const level of this.#levels.toReversed()) {
      for (const [key, job] of level) {
        if (batch.length === this.#options.batch) return batch;
        level.delete(key);
        this.#waiting--;
        batch.push(job);
      }
    }
    return batch;
  }
}
