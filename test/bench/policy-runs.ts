/**
 * Replays of the comparison, each once: finished ones are kept in a file of JSON lines, so that a table of some hundred
 * replays may be stopped and gone on with. The same run gives the same figures on any machine.
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { Cell } from '../../cli/replay/plan.ts';
import { replay } from '../../cli/replay/replay.ts';
import { cellOf } from './policy-cells.ts';

/** Milliseconds of virtual time. */
export interface Figures {
  ttft_ms: number;
  e2e_ms: number;
  p99_ttft_ms: number;
  reuse: number;
}

export interface Run {
  cell: string;
  /** Told apart from others of the cell by it. */
  variant: string;
  policy: 'dynamo' | 'stator';
  seed: number;
  set?: NonNullable<Cell['set']>;
  /** Multiplies the cell's. */
  speedup?: number;
}

export class Runs {
  readonly #known = new Map<string, Figures>();
  readonly #file: string | undefined;
  #done = 0;

  constructor(file: string | undefined) {
    this.#file = file;
    if (file === undefined || !existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
      const { key, figures } = JSON.parse(line) as { key: string; figures: Figures };
      this.#known.set(key, figures);
    }
  }

  figures(run: Run): Figures {
    const { cell: name, variant, policy, seed, set = {}, speedup = 1 } = run;
    const key = [name, policy, variant, seed].join(' | ');
    const known = this.#known.get(key);
    if (known) return known;
    const startedMs = performance.now();
    const cell = cellOf(name);
    const report = replay({
      ...cell,
      speedup: (cell.speedup ?? 1) * speedup,
      routerPolicy: policy,
      seed,
      set,
    });
    const figures = {
      ttft_ms: rounded(report.ttft_ms.mean),
      e2e_ms: rounded(report.e2e_ms.mean),
      p99_ttft_ms: rounded(report.ttft_ms.p99),
      reuse: rounded(report.reuse),
    };
    this.#known.set(key, figures);
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify({ key, figures })}\n`);
    const seconds = (performance.now() - startedMs) / 1000;
    process.stderr.write(
      `${++this.#done}  ${key}: ${figures.ttft_ms} / ${figures.e2e_ms} (${seconds.toFixed(1)} s)\n`,
    );
    return figures;
  }
}

const rounded = (value: number) => Number(value.toPrecision(6));
