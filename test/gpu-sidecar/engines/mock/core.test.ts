/** The mock engine in virtual time: what semantics §10 says of a pass, on numbers worked out by hand. */

import { describe, expect, it } from 'vitest';
import { KvEventLog } from '../../../../gpu-sidecar/engines/kv-event-log.ts';
import { MockCore, type MockCoreOptions } from '../../../../gpu-sidecar/engines/mock/core.ts';
import { decodeMs, passMs, prefillMs } from '../../../../gpu-sidecar/engines/mock/timing.ts';
import { wasmBlockHasher } from '../../../../gpu-sidecar/engines/wasm-hasher.ts';
import { type Recording, record, request } from '../../../contract/engine.harness.ts';

const OPTIONS: Omit<MockCoreOptions, 'events'> = {
  blockSizeTokens: 4,
  totalBlocks: 100,
  maxNumSeqs: 8,
  maxNumBatchedTokens: 64,
  contextLengthTokens: 400,
  vocabularySize: 1_000,
  watermark: 0.01,
  prefixCaching: true,
  speedup: 1,
  decodeSpeedup: 1,
  decodeMs: 0,
  answerTokens: Uint32Array.of(11, 12, 13, 14, 15),
  eosEvery: 0,
  hasher: wasmBlockHasher,
};

const prompt = (length: number, start = 0): number[] => Array.from({ length }, (_, i) => start + i);

class Bench {
  readonly events = new KvEventLog();
  readonly core: MockCore;
  nowMs = 0;

  constructor(changes: Partial<MockCoreOptions> = {}) {
    this.core = new MockCore({ ...OPTIONS, ...changes, events: this.events });
  }

  submit(tokens: number[], maxTokens: number): Recording {
    const recording = record();
    this.core.submit(request(tokens, { maxTokens }), recording);
    return recording;
  }

  /** One pass; returns how long it took. */
  pass(): number {
    const before = this.nowMs;
    this.nowMs = this.core.pass(before) ?? before;
    this.core.finish();
    return this.nowMs - before;
  }

  untilIdle(): number {
    let passes = 0;
    for (; !this.core.idle; passes++) this.pass();
    return passes;
  }
}

describe('the timing of a pass', () => {
  it('is the published polynomial', () => {
    expect(prefillMs(0)).toBe(0);
    expect(prefillMs(1_000)).toBeCloseTo(4.209989e-7 * 1e6 + 15.18344 + 16.50142, 6);
    expect(decodeMs({ decodeContextTokens: 0, totalKvTokens: 100 })).toBeCloseTo(5.74, 9);
    expect(decodeMs({ decodeContextTokens: 50, totalKvTokens: 100 })).toBeCloseTo(-6.435 + 27.005 + 5.74, 9);
    expect(decodeMs({ decodeContextTokens: 500, totalKvTokens: 100 })).toBeCloseTo(34.01, 9);
  });

  it('is divided by the speedup, of which 0 means none at all', () => {
    const prefill = { prefills: 1, prefixTokens: 20, prefilledTokens: 120 };
    const work = { ...prefill, decodingRequests: 2, decodeContextTokens: 60, totalKvTokens: 400 };
    const timing = { speedup: 1, decodeSpeedup: 1, decodeMs: 0 };
    const whole = prefillMs(100) + decodeMs(work);
    expect(passMs(work, timing)).toBeCloseTo(whole, 9);
    expect(passMs(work, { ...timing, speedup: 4 })).toBeCloseTo(whole / 4, 9);
    expect(passMs(work, { ...timing, decodeSpeedup: 2 })).toBeCloseTo(prefillMs(100) + decodeMs(work) / 2, 9);
    expect(passMs(work, { ...timing, speedup: 0 })).toBe(0);
    expect(passMs(work, { ...timing, speedup: 0, decodeMs: 5 })).toBe(5);
    expect(passMs({ ...work, decodingRequests: 0 }, { ...timing, speedup: 0, decodeMs: 5 })).toBe(0);
  });
});

describe('the core of the mock engine', () => {
  it('gives the first token in the pass that ends the prefill, then one a pass', () => {
    const bench = new Bench();
    const { outcome } = bench.submit(prompt(10), 3);
    expect(bench.pass()).toBeCloseTo(prefillMs(10), 9);
    expect(outcome.tokens).toHaveLength(1);
    expect(bench.pass()).toBeCloseTo(decodeMs({ decodeContextTokens: 11, totalKvTokens: 400 }), 9);
    expect(bench.pass()).toBeCloseTo(decodeMs({ decodeContextTokens: 12, totalKvTokens: 400 }), 9);
    expect(outcome).toMatchObject({ reason: 'length', ends: 1 });
    expect(bench.core.pass(0)).toBeNull();
  });

  it('cuts a long prompt into chunks of the batch, beside the decoding requests', () => {
    const bench = new Bench({ maxNumBatchedTokens: 16 });
    const short = bench.submit(prompt(4), 10);
    bench.pass();
    const long = bench.submit(prompt(40, 100), 1);
    expect(bench.pass()).toBeCloseTo(
      prefillMs(15) + decodeMs({ decodeContextTokens: 5, totalKvTokens: 400 }),
      9,
    );
    bench.pass();
    expect(long.outcome.tokens).toHaveLength(0);
    bench.pass();
    expect([long.outcome.tokens.length, short.outcome.tokens.length]).toEqual([1, 4]);
  });

  it('computes only what is not cached', () => {
    const bench = new Bench();
    bench.submit(prompt(12), 1);
    bench.untilIdle();
    const { outcome } = bench.submit(prompt(14), 1);
    expect(bench.pass()).toBeCloseTo(prefillMs(2), 9);
    expect(outcome.cachedTokens).toBe(12);
  });

  it('shares a prompt within one pass', () => {
    const bench = new Bench();
    const one = bench.submit(prompt(9), 1);
    const other = bench.submit(prompt(9), 1);
    expect(bench.pass()).toBeCloseTo(prefillMs(9 + 1), 9);
    expect([one.outcome.cachedTokens, other.outcome.cachedTokens]).toEqual([0, 8]);
  });

  it('tells its KV events at the end of the pass, not before', () => {
    const bench = new Bench();
    let stored = 0;
    bench.events.listen({ stored: () => stored++, removed: () => {}, cleared: () => {} });
    bench.submit(prompt(9), 1);
    bench.core.pass(0);
    expect(stored).toBe(0);
    bench.core.finish();
    expect(stored).toBe(1);
  });

  it('admits in order, by priority first, and no more than maxNumSeqs', () => {
    const bench = new Bench({ maxNumSeqs: 1 });
    const order: string[] = [];
    for (const [name, priority] of [
      ['a', 0],
      ['b', 0],
      ['c', 5],
      ['d', 5],
      ['e', -1],
    ] as const) {
      const asked = request(prompt(4, 10 * order.length), { maxTokens: 1, priority });
      bench.core.submit(asked, { started: () => order.push(name), token: () => {}, end: () => {} });
    }
    expect(bench.core.load()).toMatchObject({ running: 0, waiting: 5 });
    bench.untilIdle();
    expect(order).toEqual(['c', 'd', 'a', 'b', 'e']);
  });

  it('keeps a share of the blocks free while others run', () => {
    const bench = new Bench({ totalBlocks: 10, contextLengthTokens: 40, watermark: 0.3 });
    bench.submit(prompt(12), 20);
    bench.pass();
    const second = bench.submit(prompt(18, 100), 1);
    bench.pass();
    expect(bench.core.load()).toMatchObject({ running: 1, waiting: 1 });
    bench.untilIdle();
    expect(second.outcome.reason).toBe('length');
  });

  it('preempts the newest request when blocks run out, and computes it again to the same answer', () => {
    const calm = new Bench();
    const expected = [0, 100, 200].map((start) => calm.submit(prompt(8, start), 16));
    calm.untilIdle();
    const tight = new Bench({ totalBlocks: 9, contextLengthTokens: 36, watermark: 0 });
    const got = [0, 100, 200].map((start) => tight.submit(prompt(8, start), 16));
    let mostWaiting = 0;
    tight.pass();
    expect(tight.core.load().running).toBe(3);
    for (; !tight.core.idle; tight.pass()) mostWaiting = Math.max(mostWaiting, tight.core.load().waiting);
    expect(mostWaiting).toBeGreaterThan(0);
    expect(got.map(({ outcome }) => outcome.tokens)).toEqual(expected.map(({ outcome }) => outcome.tokens));
    expect(tight.core.load().kvUsedBlocks).toBe(0);
  });

  it('refuses ids that are no tokens, and empty prompts', () => {
    const bench = new Bench();
    expect(() => bench.submit([5, 1_000], 1)).toThrow(/token 1000/);
    expect(() => bench.submit([], 1)).toThrow(/no tokens/);
  });
});
