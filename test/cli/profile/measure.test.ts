/** Does a measurement ask what it must, keep what it has, and find an engine's own times? */

import { expect, test } from 'vitest';
import { type Measurement, measure, type ProfiledWorker, profileOf } from '../../../cli/profile/measure.ts';
import { Profile } from '../../../durable/planner/profile.ts';
import { decodeMs, prefillMs } from '../../../gpu-sidecar/engines/mock/timing.ts';

const MAX_KV_TOKENS = 32_768;
const OUTPUT_TOKENS = 32;

/** Takes as long as the mock engine for what is under way with it; no clock. */
class Formulas implements ProfiledWorker {
  readonly asked: string[] = [];
  readonly #seen = new Set<Uint32Array>();
  #running: { prompt: Uint32Array; answer: (itlMs: number) => void }[] = [];

  freshPrompt(tokens: number): Uint32Array {
    return new Uint32Array(tokens);
  }

  async ask(prompt: Uint32Array, outputTokens: number) {
    const isKnown = this.#seen.has(prompt);
    this.#seen.add(prompt);
    this.asked.push(`${isKnown ? 'known' : 'fresh'} ${prompt.length}+${outputTokens}`);
    if (outputTokens === 1) return { workerTtftMs: prefillMs(prompt.length), steadyItlMs: null };
    const steadyItlMs = await new Promise<number>((answer) => {
      this.#running.push({ prompt, answer });
      queueMicrotask(() => this.#step());
    });
    return { workerTtftMs: 1, steadyItlMs };
  }

  #step(): void {
    const running = this.#running;
    this.#running = [];
    const contexts = running.map(({ prompt }) => prompt.length + OUTPUT_TOKENS / 2);
    const decodeContextTokens = contexts.reduce((sum, each) => sum + each, 0);
    for (const { answer } of running) answer(decodeMs({ decodeContextTokens, totalKvTokens: MAX_KV_TOKENS }));
  }
}

const places = {
  prefill: [100, 1_000, 4_000],
  decode: [100, 4_000].flatMap((inputTokens) =>
    [1, 4, 7].map((concurrency) => ({ inputTokens, concurrency })),
  ),
};
const options = {
  outputTokens: OUTPUT_TOKENS,
  repeats: 3,
  known: [] as Measurement[],
  mustStop: () => false,
  begins: (_what: string) => {},
};

async function all(worker: ProfiledWorker, over: Partial<typeof options> = {}): Promise<Measurement[]> {
  const found: Measurement[] = [];
  for await (const each of measure(worker, places, { ...options, ...over })) found.push(each);
  return found;
}

test('the profile found is what the engine takes', async () => {
  const tables = profileOf(await all(new Formulas()), {
    maxKvTokens: MAX_KV_TOKENS,
    outputTokens: OUTPUT_TOKENS,
    gpusPerWorker: 2,
  });
  const profile = new Profile(tables);
  expect(profile.ttftMs(1_000)).toBeCloseTo(prefillMs(1_000), 9);
  expect(profile.prefillTokensPerSecondPerGpu(1_000)).toBeCloseTo(500_000 / prefillMs(1_000), 9);
  for (const [requests, context] of [
    [1, 4_016],
    [4, 4_016],
    [7, 4_016],
  ] as const) {
    const wanted = decodeMs({ decodeContextTokens: requests * context, totalKvTokens: MAX_KV_TOKENS });
    expect(Math.abs(profile.itlMs(requests, context) / wanted - 1)).toBeLessThan(0.05);
  }
});

test('prompts are fresh where they are timed, and known where answers are', async () => {
  const worker = new Formulas();
  await all(worker);
  expect(worker.asked.slice(0, 3)).toEqual(['fresh 100+1', 'fresh 100+1', 'fresh 100+1']);
  const last = worker.asked.slice(-14);
  expect(last.slice(0, 7)).toEqual(new Array(7).fill('fresh 4000+1'));
  expect(last.slice(7)).toEqual(new Array(7).fill('known 4000+32'));
});

test('what is known is not measured again, and an end that comes keeps what there is', async () => {
  const begun: string[] = [];
  let left = 4;
  const first = await all(new Formulas(), {
    mustStop: () => left-- === 0,
    begins: (what) => {
      begun.push(what);
    },
  });
  expect(first).toHaveLength(4);
  expect(begun.at(-1)).toBe('1 × 100 tokens');
  const rest = await all(new Formulas(), { known: first });
  expect(rest).toHaveLength(5);
  expect([...first, ...rest]).toEqual(await all(new Formulas()));
});

test('half of a profile is none', () => {
  const prefill: Measurement = { kind: 'prefill', inputTokens: 3, ttftMs: 4 };
  expect(profileOf([prefill], { maxKvTokens: 10, outputTokens: 2, gpusPerWorker: 1 })).toBe(null);
});
