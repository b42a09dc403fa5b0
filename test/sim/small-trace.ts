/** Traces for the simulator's tests: cuts of Mooncake's, and random ones with shared beginnings. */

import fc from 'fast-check';
import { readTrace, type Trace } from '../../cli/replay/trace.ts';

const FOLDER = new URL('../fixtures/traces/', import.meta.url).pathname;
const read = new Map<string, Trace>();

/** The first requests of a Mooncake trace. */
export function cut(name: string, requests: number): Trace {
  const whole = read.get(name) ?? readTrace(`${FOLDER}${name}_trace.jsonl`);
  read.set(name, whole);
  return { ...whole, requests: whole.requests.slice(0, requests) };
}

const BLOCK = 16;

/** Few prefixes, bursts, prompts that end within and at the end of a block, answers of one token and of many. */
export const anyTrace: fc.Arbitrary<Trace> = fc
  .array(
    fc.record({
      gapMs: fc.constantFrom(0, 0, 1, 7, 40, 400),
      family: fc.integer({ min: 0, max: 3 }),
      blocks: fc.integer({ min: 1, max: 10 }),
      short: fc.integer({ min: 0, max: BLOCK - 1 }),
      outputTokens: fc.constantFrom(1, 2, 15, 16, 17, 60),
    }),
    { minLength: 1, maxLength: 30 },
  )
  .map((list) => {
    let atMs = 0;
    const requests = list.map(({ gapMs, family, blocks, short, outputTokens }) => {
      atMs += gapMs;
      const hashIds = Array.from({ length: blocks }, (_, i) => family * 5 + i);
      return { atMs, inputTokens: blocks * BLOCK - short, outputTokens, hashIds };
    });
    return { name: 'random', blockTokens: BLOCK, requests };
  });
