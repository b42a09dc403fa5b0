/**
 * A line through points of which older ones count less: decayed sums, from which its slope comes whenever it is asked for. What
 * the slope is worth when the points lie close together is for the caller to say. Cost: a handful of operations a point.
 */

export class DecayedLine {
  /** Weight of what was known before, at every point. */
  readonly #keep: number;
  /** Sums of 1, x, y, x², xy. */
  #count = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #xy = 0;

  constructor(keep: number) {
    this.#keep = keep;
  }

  add(x: number, y: number): void {
    this.#count = this.#count * this.#keep + 1;
    this.#x = this.#x * this.#keep + x;
    this.#y = this.#y * this.#keep + y;
    this.#xx = this.#xx * this.#keep + x * x;
    this.#xy = this.#xy * this.#keep + x * y;
  }

  get meanX(): number {
    return this.#x / this.#count;
  }

  get meanY(): number {
    return this.#y / this.#count;
  }

  get variance(): number {
    return this.#xx / this.#count - this.meanX ** 2;
  }

  get covariance(): number {
    return this.#xy / this.#count - this.meanX * this.meanY;
  }
}
