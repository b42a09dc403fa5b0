/**
 * What every engine promises, as one suite. An engine gets a line in `engine.test.ts`; a skipped promise names its
 * reason there.
 */

import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Engine, EngineRequest, TokenLogprobs } from '../../gpu-sidecar/engines/engine.ts';
import type { BlockHasher } from '../../gpu-sidecar/engines/token-blocks.ts';
import { CacheModel, words } from './engine.cache-model.ts';
import { isIdle, promptOf, record, request, run, until } from './engine.harness.ts';

/** A small engine for tests. Sizes are in blocks of 16 tokens and must be kept. */
export interface EngineSubject {
  name: string;
  hasher: BlockHasher;
  start(size: { totalBlocks: number; maxNumSeqs: number; contextLengthTokens: number }): Promise<Engine>;
  /** It keeps blocks beyond its own cache: more may be found than that holds. */
  lowerTiers?: boolean;
  /** Longest prompt worth using where length matters: engines that really compute want it short. */
  longPromptTokens: number;
}

const BLOCK = 16;
const SAMPLED = { temperature: 0.9, topP: 0.95, topK: 40, seed: 4242n, repetitionPenalty: 1.1 };

export function engineContract(subject: EngineSubject): void {
  describe(`the engine ${subject.name}`, () => {
    const engines: Engine[] = [];
    const start = async (size: Partial<Parameters<EngineSubject['start']>[0]> = {}): Promise<Engine> => {
      const engine = await subject.start({
        totalBlocks: 64,
        maxNumSeqs: 8,
        contextLengthTokens: 512,
        ...size,
      });
      engines.push(engine);
      return engine;
    };
    afterEach(async () => {
      for (const engine of engines.splice(0)) await engine.stop();
    });
    const sampling = (changes: object): Partial<EngineRequest> => ({
      sampling: { ...request([]).sampling, ...changes },
    });

    it('says the same for the same request, alone or among others', async () => {
      const engine = await start();
      const prompts = Array.from({ length: 8 }, (_, salt) =>
        promptOf(engine, { length: 5 + 11 * salt, salt }),
      );
      const asked = prompts.map(
        (ids, i) => () => request(ids, { maxTokens: 12, ...(i % 2 ? sampling(SAMPLED) : {}) }),
      );
      const alone: number[][] = [];
      for (const ask of asked) alone.push((await run(engine, ask())).tokens);
      engine.clearKvBlocks();
      const together = await Promise.all(asked.map((ask) => run(engine, ask())));
      expect(together.map(({ tokens }) => tokens)).toEqual(alone);
      expect(new Set(alone.map(String)).size).toBeGreaterThan(1);
    });

    it('says the same in another instance', async () => {
      const [one, other] = [await start(), await start()];
      const ids = promptOf(one, { length: 40, salt: 3 });
      const ask = () => request(ids, { maxTokens: 16, ...sampling(SAMPLED) });
      expect((await run(other, ask())).tokens).toEqual((await run(one, ask())).tokens);
    });

    it('draws other tokens for another seed', async () => {
      const engine = await start();
      const ids = promptOf(engine, { length: 20, salt: 5 });
      const answers = await Promise.all(
        [1n, 2n, 3n, 4n].map((seed) => run(engine, request(ids, sampling({ temperature: 1, seed })))),
      );
      expect(new Set(answers.map(({ tokens }) => String(tokens))).size).toBeGreaterThan(1);
    });

    it('draws other tokens for another choice of the same seed', async () => {
      const engine = await start();
      const ids = promptOf(engine, { length: 20, salt: 5 });
      const answers = await Promise.all(
        [0, 1, 2].map((choice) => run(engine, request(ids, sampling({ temperature: 1, choice })))),
      );
      expect(new Set(answers.map(({ tokens }) => String(tokens))).size).toBe(3);
    });

    it('says how likely its tokens were, the same each time', async () => {
      const engine = await start();
      const ids = promptOf(engine, { length: 20, salt: 6 });
      const ask = () => {
        const logged: TokenLogprobs[] = [];
        const recording = record();
        const { token } = recording;
        recording.token = (id, index, logprobs) => {
          logged.push(logprobs!);
          token.call(recording, id, index);
        };
        engine.submit(request(ids, { maxTokens: 5, ...sampling({ topLogprobs: 3 }) }), recording);
        return recording.done.then(() => logged);
      };
      const logged = await ask();
      expect(logged).toHaveLength(5);
      for (const { logprob, top } of logged) {
        expect(logprob).toBeLessThanOrEqual(0);
        expect(top).toHaveLength(3);
        expect(top.map(([, value]) => value)).toEqual(top.map(([, value]) => value).sort((a, b) => b - a));
      }
      // How a prompt is cut into batches changes the last digits.
      const again = await ask();
      again.forEach(({ logprob }, at) => {
        expect(logprob).toBeCloseTo(logged[at]!.logprob, 3);
      });
    });

    it.each(['greedy', 'sampled'])('continues a %s response from every token', async (kind) => {
      const engine = await start({ maxNumSeqs: 4 });
      const ids = promptOf(engine, { length: 37, salt: 9 });
      const changes = { maxTokens: 20, ...(kind === 'sampled' ? sampling(SAMPLED) : {}) };
      const whole = await run(engine, request(ids, changes));
      expect(whole.tokens).toHaveLength(20);
      expect(whole.indexes).toEqual(Array.from({ length: 20 }, (_, i) => i));
      for (let k = 0; k <= 20; k++) {
        if (k % 3 === 0) engine.clearKvBlocks();
        const tokenIds = Uint32Array.from([...ids, ...whole.tokens.slice(0, k)]);
        const rest = await run(engine, { ...request(ids, changes), tokenIds });
        expect(rest.tokens).toEqual(whole.tokens.slice(k));
        expect(rest.indexes).toEqual(whole.indexes.slice(k));
        expect(rest.reason).toBe('length');
      }
    });

    it('counts the tokens of the whole response against maxTokens', async () => {
      const engine = await start();
      const ids = promptOf(engine, { length: 10, salt: 1 });
      for (const maxTokens of [1, 2, 17]) {
        const { tokens, reason, ends } = await run(engine, request(ids, { maxTokens }));
        expect([tokens.length, reason, ends]).toEqual([maxTokens, 'length', 1]);
      }
    });

    it('ends at the end of the context', async () => {
      const engine = await start({ contextLengthTokens: 64 });
      const { tokens, reason } = await run(
        engine,
        request(promptOf(engine, { length: 60, salt: 2 }), { maxTokens: 99 }),
      );
      expect([tokens.length, reason]).toEqual([4, 'length']);
    });

    it('ends before a stop token, which is not told, but not within minTokens', async () => {
      const engine = await start();
      const ids = promptOf(engine, { length: 30, salt: 6 });
      const changes = { maxTokens: 24, ...sampling({ temperature: 1, seed: 11n }) };
      const whole = await run(engine, request(ids, changes));
      const at = whole.tokens.findIndex((id, i) => i > 2 && !whole.tokens.slice(0, i).includes(id));
      const stop = whole.tokens[at]!;
      const stopped = await run(engine, request(ids, { ...changes, stopTokenIds: [stop] }));
      expect([stopped.tokens, stopped.reason]).toEqual([whole.tokens.slice(0, at), 'stop']);
      const longer = await run(engine, request(ids, { ...changes, stopTokenIds: [stop], minTokens: at + 1 }));
      expect(longer.tokens.slice(0, at)).toEqual(whole.tokens.slice(0, at));
      expect(longer.tokens.length).toBeGreaterThan(at);
    });

    it('never tells an end-of-generation token', async () => {
      const engine = await start();
      const ids = promptOf(engine, { length: 16, salt: 12 });
      const outcomes = await Promise.all(
        [true, false].flatMap((ignoreEos) =>
          [1n, 2n, 3n].map((seed) =>
            run(engine, request(ids, { maxTokens: 64, ignoreEos, ...sampling({ temperature: 1.5, seed }) })),
          ),
        ),
      );
      for (const { tokens } of outcomes) {
        expect(tokens.filter((id) => engine.vocabulary.isEndOfGeneration(id))).toEqual([]);
      }
      expect(outcomes.slice(0, 3).map(({ tokens }) => tokens.length)).toEqual([64, 64, 64]);
    });

    it('says how control tokens are written, which have no text', async () => {
      const { vocabulary } = await start();
      const ids = Array.from({ length: vocabulary.size }, (_, id) => id);
      const control = ids.filter((id) => vocabulary.isControl(id));
      expect(control.map((id) => vocabulary.controlText(id))).toContain('<|im_end|>');
      expect(control.map((id) => vocabulary.tokenBytes(id).length)).toEqual(control.map(() => 0));
      expect(ids.filter((id) => !vocabulary.isControl(id) && vocabulary.controlText(id) !== '')).toEqual([]);
    });

    it('ends an aborted request once, wherever it is, and frees what it held', async () => {
      const engine = await start({ maxNumSeqs: 1 });
      const long = promptOf(engine, { length: subject.longPromptTokens, salt: 20 });
      const decoding = record((count) => count === 3 && handle.abort());
      const handle = engine.submit(request(long, { maxTokens: 400 }), decoding);
      const waiting = record();
      engine.submit(request(long), waiting).abort();
      expect((await waiting.done).reason).toBe('cancelled');
      expect(await decoding.done).toMatchObject({ reason: 'cancelled', ends: 1 });
      expect(decoding.outcome.tokens).toHaveLength(3);
      handle.abort();
      engine.clearKvBlocks();
      const prefilling = record();
      const prefill = engine.submit(request(long), prefilling);
      await until(() => engine.load().running === 1 || prefilling.outcome.ends > 0);
      prefill.abort();
      prefill.abort();
      expect(await prefilling.done).toMatchObject({
        reason: expect.stringMatching(/cancelled|length/),
        ends: 1,
      });
      await until(() => isIdle(engine));
      expect([waiting.outcome.ends, decoding.outcome.ends, prefilling.outcome.ends]).toEqual([1, 1, 1]);
      expect((await run(engine, request(long))).reason).toBe('length');
    });

    it('finds a shared prefix in its cache, whole blocks of it, and never the last token', async () => {
      const engine = await start();
      const ids = promptOf(engine, { length: 4 * BLOCK + 5, salt: 30 });
      expect((await run(engine, request(ids))).cachedTokens).toBe(0);
      expect((await run(engine, request(ids))).cachedTokens).toBe(4 * BLOCK);
      const fork = Uint32Array.from([
        ...ids.subarray(0, 2 * BLOCK + 3),
        ...promptOf(engine, { length: 40, salt: 31 }),
      ]);
      expect((await run(engine, request(fork))).cachedTokens).toBe(2 * BLOCK);
      expect((await run(engine, request(ids.subarray(0, 4 * BLOCK)))).cachedTokens).toBe(3 * BLOCK);
      const salted = await run(engine, request(ids, { hashSeed: 99n }));
      expect(salted.cachedTokens).toBe(0);
    });

    it('caches what it generated', async () => {
      const engine = await start();
      const ids = promptOf(engine, { length: BLOCK, salt: 33 });
      const { tokens } = await run(engine, request(ids, { maxTokens: 2 * BLOCK + 1 }));
      const next = await run(engine, request([...ids, ...tokens, 5]));
      expect(next.cachedTokens).toBe(3 * BLOCK);
    });

    it('gives the same answer from the cache as without it', async () => {
      const engine = await start();
      const ids = promptOf(engine, { length: 5 * BLOCK, salt: 34 });
      const cold = await run(engine, request(ids, { maxTokens: 20 }));
      const warm = await run(engine, request(ids, { maxTokens: 20 }));
      expect(warm.cachedTokens).toBe(4 * BLOCK);
      expect(warm.tokens).toEqual(cold.tokens);
    });

    it('tells every block that it stores and drops, parents first', async () => {
      const engine = await start({ totalBlocks: 24, maxNumSeqs: 3, contextLengthTokens: 16 * BLOCK });
      const model = new CacheModel().follow(engine);
      const step = fc.record({
        trunk: fc.integer({ min: 0, max: 2 }),
        keep: fc.integer({ min: 1, max: 6 * BLOCK }),
        extra: fc.integer({ min: 0, max: 2 * BLOCK }),
        salt: fc.integer({ min: 0, max: 3 }),
        maxTokens: fc.integer({ min: 1, max: 2 * BLOCK }),
        abortAt: fc.option(fc.integer({ min: 0, max: 8 }), { freq: 4 }),
        clear: fc.integer({ min: 0, max: 15 }).map((n) => n === 0),
      });
      type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
      const idsOf = ({ trunk, keep, extra, salt }: Step) =>
        Uint32Array.from([
          ...promptOf(engine, { length: 6 * BLOCK, salt: 50 + trunk }).subarray(0, keep),
          ...promptOf(engine, { length: extra, salt: 60 + salt }),
        ]);
      const predicted = (ids: Uint32Array): number => {
        const { local } = subject.hasher.hash(ids, { blockSizeTokens: BLOCK, seed: 1337n });
        const limit = Math.floor((ids.length - 1) / BLOCK);
        return BLOCK * model.depth(words(new Uint8Array(local.slice().buffer)).slice(0, limit));
      };
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { maxLength: 6 }),
          async (rounds) => {
            for (const together of rounds) {
              await Promise.all(
                together.map((one) => {
                  const recording = record((count) => count === one.abortAt && handle.abort());
                  const handle = engine.submit(request(idsOf(one), { maxTokens: one.maxTokens }), recording);
                  if (one.abortAt === 0) handle.abort();
                  return recording.done;
                }),
              );
              await until(() => isIdle(engine));
              if (together[0]!.clear) {
                const stored = model.blocks.size;
                const dropped = engine.clearKvBlocks();
                expect(subject.lowerTiers ? Math.min(dropped, stored) : dropped).toBe(stored);
                expect(model.blocks.size).toBe(0);
              }
              expect(model.problems).toEqual([]);
              expect(model.orphans()).toEqual([]);
              expect(model.blocks.size).toBeLessThanOrEqual(24);
              const probe = idsOf(together[0]!);
              const expected = predicted(probe);
              const cached = (await run(engine, request(probe, { maxTokens: 1 }))).cachedTokens!;
              expect(subject.lowerTiers ? Math.min(cached, expected) : cached).toBe(expected);
              expect(cached).toBeLessThan(probe.length);
              await until(() => isIdle(engine));
            }
          },
        ),
        { numRuns: 12 },
      );
      expect(model.events).toBeGreaterThan(20);
    });

    it('uses block ids that are sequence hashes', async () => {
      const engine = await start();
      const model = new CacheModel().follow(engine);
      const ids = promptOf(engine, { length: 3 * BLOCK + 1, salt: 70 });
      await run(engine, request(ids, { maxTokens: 1 }));
      await until(() => isIdle(engine));
      const { sequence } = subject.hasher.hash(ids, { blockSizeTokens: BLOCK, seed: 1337n });
      expect([...model.blocks.keys()]).toEqual(words(new Uint8Array(sequence.slice().buffer)));
    });

    it('drops its cache on request, but not what a running request holds', async () => {
      const engine = await start();
      const model = new CacheModel().follow(engine);
      const ids = promptOf(engine, { length: 3 * BLOCK + 1, salt: 80 });
      await run(engine, request(ids, { maxTokens: 1 }));
      await until(() => isIdle(engine));
      const { promise: begun, resolve } = Promise.withResolvers<void>();
      const held = record((count) => count === 2 && resolve());
      const handle = engine.submit(
        request(promptOf(engine, { length: 2 * BLOCK, salt: 81 }), { maxTokens: 400 }),
        held,
      );
      await begun;
      expect(engine.clearKvBlocks()).toBe(3);
      handle.abort();
      await until(() => isIdle(engine));
      expect(model.problems).toEqual([]);
      expect(model.blocks.size).toBeGreaterThanOrEqual(2);
      expect((await run(engine, request(ids, { maxTokens: 1 }))).cachedTokens).toBe(0);
    });

    it('refuses a prompt that leaves no room for an answer', async () => {
      const engine = await start({ contextLengthTokens: 64 });
      const ids = promptOf(engine, { length: 64, salt: 90 });
      expect(() => engine.submit(request(ids), record())).toThrow(
        expect.objectContaining({ code: 'context_length_exceeded' }),
      );
      expect((await run(engine, request(ids.subarray(0, 63), { maxTokens: 5 }))).tokens).toHaveLength(1);
      expect(isIdle(engine)).toBe(true);
    });

    it('says the same under pressure: more requests than blocks, some of them aborted', async () => {
      const roomy = await start();
      const tight = await start({ totalBlocks: 16, maxNumSeqs: 4, contextLengthTokens: 8 * BLOCK });
      const asked = Array.from({ length: 24 }, (_, n) => {
        const shared = promptOf(roomy, { length: BLOCK * (n % 3), salt: 100 });
        const own = promptOf(roomy, { length: 5 + n, salt: 101 + (n % 7) });
        const changes = { maxTokens: 2 * BLOCK + n, ...(n % 2 ? sampling(SAMPLED) : {}) };
        return () => request([...shared, ...own], changes);
      });
      const expected: number[][] = [];
      for (const ask of asked) expected.push((await run(roomy, ask())).tokens);
      const recordings = asked.map((ask, n) => {
        const recording = record((count) => n % 5 === 4 && count === 7 && handle.abort());
        const handle = tight.submit(ask(), recording);
        return recording.done;
      });
      const outcomes = await Promise.all(recordings);
      outcomes.forEach(({ tokens, reason }, n) => {
        const cut = n % 5 === 4;
        expect(reason).toBe(cut ? 'cancelled' : 'length');
        expect(tokens, `request ${n}`).toEqual(cut ? expected[n]!.slice(0, 7) : expected[n]);
      });
      await until(() => isIdle(tight));
    });

    it('bounds how many may wait, and ends them all when it stops', async () => {
      const engine = await start({ maxNumSeqs: 1 });
      const ids = promptOf(engine, { length: 20, salt: 110 });
      const recordings = [];
      let refusal: unknown = null;
      for (let i = 0; i <= LIMITS.waitingRequests + 1 && refusal === null; i++) {
        const recording = record();
        try {
          engine.submit(request(ids, { maxTokens: 400 }), recording);
          recordings.push(recording);
        } catch (thrown) {
          refusal = thrown;
        }
      }
      expect(refusal).toMatchObject({ code: 'overloaded' });
      expect(recordings.length).toBeGreaterThanOrEqual(LIMITS.waitingRequests);
      await engine.stop();
      const outcomes = await Promise.all(recordings.map(({ done }) => done));
      expect(new Set(outcomes.map(({ reason, ends }) => `${reason} ${ends}`))).toEqual(
        new Set(['cancelled 1']),
      );
      expect(isIdle(engine)).toBe(true);
      expect(() => engine.submit(request(ids), record())).toThrow(
        expect.objectContaining({ code: 'worker_draining' }),
      );
    });
  });
}
