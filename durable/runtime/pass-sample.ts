/**
 * Passes of an engine since somebody last asked, a bounded number of them. When more came, every second, fourth, … is left,
 * so that they stay spread evenly over the time. Passes with prompt tokens and those without are sampled apart: the first are
 * rare, and say what the second cannot. Cost of a pass: four numbers are stored, nothing is allocated.
 */

/** What one pass computed, and how long that took. */
export interface EnginePass {
  prefillTokens: number;
  /** Context tokens of the requests that decode. */
  decodeKvTokens: number;
  /** Prompt tokens that wait for a later pass. */
  queuedTokens: number;
  wallMs: number;
}

/** Figures of a pass. */
const WIDTH = 4;

export class PassSample {
  readonly #prefills: EvenSample;
  readonly #steps: EvenSample;

  /** `most` passes of each of the two sorts. */
  constructor(most: number) {
    this.#prefills = new EvenSample(most);
    this.#steps = new EvenSample(most);
  }

  /** Passes that `take` would give. */
  get size(): number {
    return this.#prefills.size + this.#steps.size;
  }

  /** Keeps figures, not the object. A pass that took no time, or computed nothing, was none. */
  add(pass: Readonly<EnginePass>): void {
    if (!(pass.wallMs > 0)) return;
    if (pass.prefillTokens > 0) this.#prefills.add(pass);
    else if (pass.decodeKvTokens > 0) this.#steps.add(pass);
  }

  /** Gives each pass once; those with prompt tokens first, otherwise in order. */
  take(): EnginePass[] {
    return [...this.#prefills.take(), ...this.#steps.take()];
  }
}

/** Invariant: what is kept are the passes whose number is a multiple of `#stride`, from 0 on. */
class EvenSample {
  readonly #figures: Float64Array;
  readonly #most: number;
  #seen = 0;
  #stride = 1;
  size = 0;

  constructor(most: number) {
    // An even number, so that the one that finds no room is kept after every second has gone.
    this.#most = 2 * Math.ceil(most / 2);
    this.#figures = new Float64Array(WIDTH * this.#most);
  }

  add({ prefillTokens, decodeKvTokens, queuedTokens, wallMs }: Readonly<EnginePass>): void {
    if (this.#seen++ % this.#stride !== 0) return;
    if (this.size === this.#most) this.#thin();
    const at = WIDTH * this.size++;
    this.#figures[at] = prefillTokens;
    this.#figures[at + 1] = decodeKvTokens;
    this.#figures[at + 2] = queuedTokens;
    this.#figures[at + 3] = wallMs;
  }

  take(): EnginePass[] {
    const figures = this.#figures;
    const passes: EnginePass[] = [];
    for (let at = 0; at < WIDTH * this.size; at += WIDTH) {
      passes.push({
        prefillTokens: figures[at]!,
        decodeKvTokens: figures[at + 1]!,
        queuedTokens: figures[at + 2]!,
        wallMs: figures[at + 3]!,
      });
    }
    this.#seen = this.size = 0;
    this.#stride = 1;
    return passes;
  }

  #thin(): void {
    this.size /= 2;
    this.#stride *= 2;
    for (let kept = 1; kept < this.size; kept++) {
      this.#figures.copyWithin(WIDTH * kept, 2 * WIDTH * kept, 2 * WIDTH * kept + WIDTH);
    }
  }
}
