/**
 * An engine's batches in order, by the numbers that its publisher gives them. A gap is asked for again (`replay`) while later
 * batches wait; what nobody has any more makes all that is known worthless, so it is cleared and built anew. A number that
 * falls back is a new life of the engine. Pure: what to do comes back as effects.
 */

export interface Batch<T> {
  number: number;
  content: T;
}

export type OrderEffect<T> =
  | { do: 'apply'; content: T }
  /** Everything known of the engine is void. */
  | { do: 'clear' }
  | { do: 'replay'; from: number };

export class BatchOrder<T> {
  readonly #canReplay: boolean;
  readonly #mostWaiting: number;
  /** null: nothing was heard yet. */
  #next: number | null = null;
  #waiting: Batch<T>[] = [];
  #replaying = false;

  constructor(options: { canReplay: boolean; mostWaiting: number }) {
    this.#canReplay = options.canReplay;
    this.#mostWaiting = options.mostWaiting;
  }

  /** What a publisher sent. */
  live(batch: Batch<T>): OrderEffect<T>[] {
    if (this.#replaying) {
      this.#waiting.push(batch);
      // What falls out is a gap again.
      if (this.#waiting.length > this.#mostWaiting) this.#waiting.shift();
      return [];
    }
    const next = this.#next ?? 0;
    if (batch.number === next) return [this.#apply(batch)];
    if (batch.number < next) {
      this.#next = 0;
      return [{ do: 'clear' }, ...this.live(batch)];
    }
    if (!this.#canReplay) {
      const unknown: OrderEffect<T>[] = this.#next === null ? [] : [{ do: 'clear' }];
      return [...unknown, this.#apply(batch)];
    }
    this.#replaying = true;
    this.#waiting.push(batch);
    return [{ do: 'replay', from: next }];
  }

  /** A batch that was asked for. */
  replayed(batch: Batch<T>): OrderEffect<T>[] {
    const next = this.#next ?? 0;
    if (!this.#replaying || batch.number < next) return [];
    const gone: OrderEffect<T>[] = batch.number > next ? [{ do: 'clear' }] : [];
    return [...gone, this.#apply(batch)];
  }

  /** The answer has ended, or will not come. */
  replayEnded(): OrderEffect<T>[] {
    if (!this.#replaying) return [];
    this.#replaying = false;
    const effects: OrderEffect<T>[] = [];
    for (const batch of this.#waiting.splice(0)) {
      const next = this.#next ?? 0;
      if (batch.number < next) continue;
      if (batch.number > next) effects.push({ do: 'clear' });
      effects.push(this.#apply(batch));
    }
    return effects;
  }

  #apply({ content, number }: Batch<T>): OrderEffect<T> {
    this.#next = number + 1;
    return { do: 'apply', content };
  }
}
