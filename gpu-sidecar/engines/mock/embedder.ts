/**
 * Vectors of the mock engine: a pure function of the tokens, of length 1, without any meaning. They take the time that the
 * same tokens would take as prompts, one call after the other.
 */

import { StatorError } from '../../../durable/runtime/errors.ts';
import type { Embedder } from '../engine.ts';
import { scaleToUnit } from '../unit-length.ts';
import type { EngineClock } from './engine.ts';
import { prefillMs } from './timing.ts';

export const MOCK_DIMENSIONS = 64;

export interface MockEmbedderOptions {
  maxTokens: number;
  /** Divides the time; 0 = none. */
  speedup: number;
  clock: EngineClock;
}

export class MockEmbedder implements Embedder {
  readonly dimensions = MOCK_DIMENSIONS;
  readonly maxTokens: number;
  readonly #options: MockEmbedderOptions;
  #line: Promise<unknown> = Promise.resolve();

  constructor(options: MockEmbedderOptions) {
    this.#options = options;
    this.maxTokens = options.maxTokens;
  }

  embed(inputs: readonly Uint32Array[], gone: AbortSignal): Promise<Float32Array> {
    const made = this.#line.then(async () => {
      const tokens = inputs.reduce((sum, ids) => sum + ids.length, 0);
      await this.#pass(tokens, gone);
      return vectorsOf(inputs);
    });
    this.#line = made.catch(() => {});
    return made;
  }

  #pass(tokens: number, gone: AbortSignal): Promise<void> {
    const { speedup, clock } = this.#options;
    const left = () => new StatorError('cancelled', 'the caller has left');
    if (gone.aborted) return Promise.reject(left());
    if (speedup === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const cancel = clock.after(prefillMs(tokens) / speedup, () => {
        gone.removeEventListener('abort', leave);
        resolve();
      });
      const leave = () => {
        cancel();
        reject(left());
      };
      gone.addEventListener('abort', leave, { once: true });
    });
  }
}

/** Each number from a hash of the text's tokens and its place. */
function vectorsOf(inputs: readonly Uint32Array[]): Float32Array {
  const rows = new Float32Array(inputs.length * MOCK_DIMENSIONS);
  inputs.forEach((ids, index) => {
    const row = rows.subarray(index * MOCK_DIMENSIONS, (index + 1) * MOCK_DIMENSIONS);
    let hash = 0x811c9dc5;
    for (const id of ids) hash = Math.imul(hash ^ id, 0x01000193) ^ (hash >>> 15);
    for (let at = 0; at < row.length; at++) {
      let mixed = Math.imul(hash + at, 0x9e3779b1);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
      row[at] = ((mixed ^ (mixed >>> 13)) | 0) / 2 ** 31;
    }
    scaleToUnit(row);
  });
  return rows;
}
