/**
 * Means and percentiles of many millions of samples in bounded memory: a histogram whose buckets are a thousandth of
 * their value wide. Order of samples does not matter to it, so that the same run gives the same bytes however it is cut.
 */

export interface Distribution {
  mean: number;
  p50: number;
  p90: number;
  p99: number;
}

const NONE: Distribution = { mean: 0, p50: 0, p90: 0, p99: 0 };

/** Of few samples, exactly: percentiles by nearest rank. */
export function distributionOf(samples: Float64Array): Distribution {
  if (samples.length === 0) return NONE;
  const sorted = samples.slice().sort();
  let sum = 0;
  for (const sample of sorted) sum += sample;
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]!;
  return { mean: sum / sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}

/** Sign and exponent of a float32, and ten bits of its mantissa. */
const SHIFT = 13;
const BUCKETS = 2 ** (31 - SHIFT);

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  readonly #float = new Float32Array(1);
  readonly #bits = new Uint32Array(this.#float.buffer);
  #total = 0;

  /** `value` ≥ 0. */
  add(value: number, count = 1): void {
    this.#float[0] = value;
    this.#counts[this.#bits[0]! >>> SHIFT]! += count;
    this.#total += count;
  }

  get count(): number {
    return this.#total;
  }

  /** The middle of the bucket where a share of the samples ends; 0 without samples. */
  percentile(share: number): number {
    if (this.#total === 0) return 0;
    let left = Math.ceil(share * this.#total);
    let bucket = 0;
    for (; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket]!;
      if (left <= 0) break;
    }
    return (this.#edge(bucket) + this.#edge(bucket + 1)) / 2;
  }

  #edge(bucket: number): number {
    this.#bits[0] = bucket << SHIFT;
    return this.#float[0]!;
  }
}
