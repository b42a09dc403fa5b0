/** The mock engine's shell on a clock of the test's: how many timers, when tokens come, and that it catches up. */

import { describe, expect, it } from 'vitest';
import type { EngineInfo } from '../../../../gpu-sidecar/engines/engine.ts';
import { type EngineClock, MockEngine } from '../../../../gpu-sidecar/engines/mock/engine.ts';
import { decodeMs, prefillMs } from '../../../../gpu-sidecar/engines/mock/timing.ts';
import { wasmBlockHasher } from '../../../../gpu-sidecar/engines/wasm-hasher.ts';
import { record, request } from '../../../contract/engine.harness.ts';

class TestClock implements EngineClock {
  time = 0;
  /** Added to every timer, as a busy event loop does. */
  lateMs = 0;
  pending: { dueMs: number; callback: () => void }[] = [];
  calls = 0;

  nowMs = () => this.time;

  after(delayMs: number, callback: () => void): () => void {
    this.calls++;
    const timer = { dueMs: this.time + delayMs + (delayMs > 0 ? this.lateMs : 0), callback };
    this.pending.push(timer);
    return () => {
      this.pending = this.pending.filter((one) => one !== timer);
    };
  }

  /** Runs the next timer; false when there is none. */
  step(): boolean {
    const next = this.pending.sort((a, b) => a.dueMs - b.dueMs).shift();
    if (!next) return false;
    this.time = Math.max(this.time, next.dueMs);
    next.callback();
    return true;
  }
}

function started(clock: EngineClock, timing: { speedup: number; decodeMs: number }): MockEngine {
  return new MockEngine({
    info: {} as EngineInfo,
    vocabulary: {
      size: 100,
      tokenBytes: () => new Uint8Array(0),
      isControl: () => false,
      controlText: () => '',
      isEndOfGeneration: () => false,
    },
    core: {
      ...timing,
      decodeSpeedup: 1,
      blockSizeTokens: 16,
      totalBlocks: 1_000,
      maxNumSeqs: 256,
      maxNumBatchedTokens: 8_192,
      contextLengthTokens: 4_096,
      vocabularySize: 100,
      watermark: 0.01,
      prefixCaching: true,
      answerTokens: Uint32Array.of(1, 2, 3),
      eosEvery: 0,
      hasher: wasmBlockHasher,
    },
    clock,
  });
}

const ids = (n: number): number[] => Array.from({ length: 26 }, (_, i) => (i * 7 + n) % 100);

describe('the mock engine in real time', () => {
  it('answers 64 requests of one token in one turn', () => {
    const clock = new TestClock();
    const engine = started(clock, { speedup: 0, decodeMs: 0 });
    const all = Array.from({ length: 64 }, (_, n) => {
      const recording = record();
      engine.submit(request(ids(n), { maxTokens: 1 }), recording);
      return recording;
    });
    expect(clock.step()).toBe(true);
    expect(all.every(({ outcome }) => outcome.ends === 1)).toBe(true);
    expect([clock.calls, clock.time]).toEqual([1, 0]);
  });

  it('paces 64 streams with one timer a step', () => {
    const clock = new TestClock();
    const engine = started(clock, { speedup: 0, decodeMs: 5 });
    const all = Array.from({ length: 64 }, (_, n) => {
      const recording = record();
      engine.submit(request(ids(n), { maxTokens: 101 }), recording);
      return recording;
    });
    while (clock.step());
    expect(all.every(({ outcome }) => outcome.tokens.length === 101)).toBe(true);
    expect(clock.time).toBe(500);
    expect(clock.calls).toBeLessThanOrEqual(103);
  });

  it('keeps the average pace when every timer is late', () => {
    const clock = new TestClock();
    clock.lateMs = 1.3;
    const engine = started(clock, { speedup: 0, decodeMs: 5 });
    const { outcome } = (() => {
      const recording = record();
      engine.submit(request(ids(0), { maxTokens: 101 }), recording);
      return recording;
    })();
    while (clock.step());
    expect(outcome.tokens).toHaveLength(101);
    expect(clock.time).toBeLessThan(502);
  });

  it('starts afresh after a long stall instead of bursting', () => {
    const clock = new TestClock();
    const engine = started(clock, { speedup: 0, decodeMs: 5 });
    const recording = record();
    engine.submit(request(ids(0), { maxTokens: 50 }), recording);
    for (let i = 0; i < 10; i++) clock.step();
    clock.time += 1_000;
    clock.step();
    const before = recording.outcome.tokens.length;
    const at = clock.time;
    for (let i = 0; i < 10; i++) clock.step();
    expect(recording.outcome.tokens.length - before).toBe(10);
    expect(clock.time - at).toBe(50);
  });

  it('lets a request come and another leave while a pass runs', () => {
    const clock = new TestClock();
    const engine = started(clock, { speedup: 0, decodeMs: 5 });
    const first = record();
    const handle = engine.submit(request(ids(0), { maxTokens: 50 }), first);
    for (let i = 0; i < 4; i++) clock.step();
    const second = record();
    engine.submit(request(ids(1), { maxTokens: 2 }), second);
    handle.abort();
    expect(first.outcome).toMatchObject({ reason: 'cancelled', ends: 1 });
    const told = first.outcome.tokens.length;
    while (clock.step());
    expect(second.outcome).toMatchObject({ reason: 'length', ends: 1 });
    expect(first.outcome.tokens).toHaveLength(told);
    expect(engine.load()).toEqual({ running: 0, waiting: 0, kvUsedBlocks: 0, decodeKvTokens: 0 });
  });

  it('tells its passes, with the time that they were given', () => {
    const clock = new TestClock();
    clock.lateMs = 1.3;
    const engine = started(clock, { speedup: 1, decodeMs: 0 });
    engine.submit(request(ids(0), { maxTokens: 4 }), record());
    while (clock.step());
    const kv = { totalKvTokens: 16_000 };
    const decode = (decodeContextTokens: number) => ({
      prefillTokens: 0,
      decodeKvTokens: decodeContextTokens,
      queuedTokens: 0,
      wallMs: expect.closeTo(decodeMs({ decodeContextTokens, ...kv }), 6),
    });
    const wallMs = expect.closeTo(prefillMs(26), 6);
    expect(engine.passes.take()).toEqual([
      { prefillTokens: 26, decodeKvTokens: 0, queuedTokens: 0, wallMs },
      ...[27, 28, 29].map(decode),
    ]);
    expect(engine.passes.take()).toEqual([]);
  });

  it('tells of a pass what waits for the next, computes nothing twice, and has told it when the answer ends', () => {
    const clock = new TestClock();
    const engine = started(clock, { speedup: 1, decodeMs: 0 });
    const long = (n: number) => Array.from({ length: 3_000 }, (_, i) => (i * 7 + n) % 97);
    let told = 0;
    const end = () => {
      told ||= engine.passes.size;
    };
    for (let n = 0; n < 4; n++)
      engine.submit(request(long(n), { maxTokens: 1 }), { started() {}, token() {}, end });
    while (clock.step());
    const passes = engine.passes.take();
    // 8,192 tokens go into a pass.
    expect(passes.map(({ prefillTokens, queuedTokens }) => [prefillTokens, queuedTokens])).toEqual([
      [8_192, 12_000 - 8_192],
      [12_000 - 8_192, 0],
    ]);
    expect(told).toBe(1);
    engine.submit(request(long(0), { maxTokens: 1 }), record());
    while (clock.step());
    // All whole blocks are cached, except that the last token is always computed.
    expect(engine.passes.take()).toMatchObject([{ prefillTokens: 3_000 % 16, queuedTokens: 0 }]);
  });

  it('says how many tokens decode while they do', () => {
    const clock = new TestClock();
    const engine = started(clock, { speedup: 1, decodeMs: 5 });
    const recording = record();
    engine.submit(request(ids(0), { maxTokens: 8 }), recording);
    expect(engine.load().decodeKvTokens).toBe(0);
    while (recording.outcome.tokens.length < 3) clock.step();
    expect(engine.load().decodeKvTokens).toBe(26 + 3);
    while (clock.step());
    expect(engine.load().decodeKvTokens).toBe(0);
  });

  it('takes new work from within its own calls', () => {
    const clock = new TestClock();
    const engine = started(clock, { speedup: 0, decodeMs: 0 });
    let left = 20;
    const next = (): void => {
      if (left-- === 0) return;
      engine.submit(request(ids(left), { maxTokens: 2 }), { started() {}, token() {}, end: next });
    };
    next();
    while (clock.step());
    expect([left, engine.load().running]).toEqual([-1, 0]);
  });

  it('leaves no timer behind when it stops', async () => {
    const clock = new TestClock();
    const engine = started(clock, { speedup: 1, decodeMs: 0 });
    const recording = record();
    engine.submit(request(ids(0), { maxTokens: 50 }), recording);
    clock.step();
    await engine.stop();
    expect([clock.pending.length, recording.outcome.reason]).toEqual([0, 'cancelled']);
  });
});
