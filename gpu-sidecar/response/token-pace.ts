/**
 * How fast the tokens of an answer came, by the worker's own clock: milliseconds between two of them over its middle half, so that
 * neither prompts computed beside its beginning nor neighbours that ended before it are in it; the median of that half's parts, so
 * that one prompt in its middle is not either. Keeps at most 256 times, each second one of them forgotten whenever they are full.
 */

const KEPT = 256;
/** Fewer tokens have no middle. */
const LEAST_TOKENS = 8;
const PARTS = 9;

export class TokenPace {
  #times: number[] = [];
  /** Every so many tokens one time is kept, the first at 0. */
  #stride = 1;
  #tokens = 0;

  token(nowMs: number): void {
    if (this.#tokens++ % this.#stride !== 0) return;
    this.#times.push(nowMs);
    if (this.#times.length < KEPT) return;
    this.#times = this.#times.filter((_, at) => at % 2 === 0);
    this.#stride *= 2;
  }

  /** Null where there were too few tokens. */
  get steadyItlMs(): number | null {
    if (this.#tokens < LEAST_TOKENS) return null;
    const last = this.#times.length - 1;
    const [from, to] = [Math.floor(last / 4), Math.ceil((3 * last) / 4)];
    const parts = Math.min(PARTS, to - from);
    const cut = (part: number) => from + Math.floor(((to - from) * part) / parts);
    const paces = Array.from({ length: parts }, (_, part) => {
      const [start, end] = [cut(part), cut(part + 1)];
      return (this.#times[end]! - this.#times[start]!) / ((end - start) * this.#stride);
    });
    paces.sort((left, right) => left - right);
    return (paces[Math.floor((parts - 1) / 2)]! + paces[Math.floor(parts / 2)]!) / 2;
  }
}
