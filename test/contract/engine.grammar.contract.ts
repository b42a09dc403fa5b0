/** What every engine that takes a grammar promises of answers under it, as one suite. */

import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, describe, expect, it } from 'vitest';
import type { Constraint } from '../../gpu-sidecar/engines/constraint/constraint.ts';
import type { Engine, EngineRequest, SamplingOptions } from '../../gpu-sidecar/engines/engine.ts';
import type { EngineSubject } from './engine.contract.ts';
import { isIdle, promptOf, record, request, run, until } from './engine.harness.ts';

const schema = {
  type: 'object',
  properties: {
    city: { type: 'string', minLength: 1, maxLength: 5 },
    days: { type: 'array', items: { enum: ['mon', 'tue', 'wed'] }, minItems: 1, maxItems: 3 },
    mild: { type: 'boolean' },
  },
  required: ['city', 'days', 'mild'],
  additionalProperties: false,
};
const WEATHER = JSON.stringify({
  grammars: [{ json_schema: { ...schema, 'x-guidance': { whitespace_pattern: '[ \\n]{1,2}' } } }],
});
const LETTERS = JSON.stringify({ grammars: [{ lark_grammar: 'start: /[a-c]{6,12}/' }] });
const SAMPLED = { temperature: 1.2, topP: 0.95, seed: 77n, repetitionPenalty: 1.1 };

export function engineGrammarContract(subject: EngineSubject): void {
  describe(`the engine ${subject.name}, under a grammar`, () => {
    const engines: Engine[] = [];
    const start = async (size: object = {}): Promise<Engine> => {
      const options = { totalBlocks: 64, maxNumSeqs: 8, contextLengthTokens: 512, ...size };
      const engine = await subject.start(options);
      engines.push(engine);
      return engine;
    };
    afterEach(async () => {
      for (const engine of engines.splice(0)) await engine.stop();
    });
    const textOf = (engine: Engine, tokens: readonly number[]): string =>
      Buffer.concat(tokens.map((id) => engine.vocabulary.tokenBytes(id))).toString('utf8');
    const ask = (
      engine: Engine,
      salt: number,
      { grammar = WEATHER, sampling, ...rest }: AskOptions = {},
    ): EngineRequest =>
      request(promptOf(engine, { length: 12, salt }), {
        maxTokens: 200,
        ignoreEos: false,
        constraint: engine.grammars!.compile(grammar),
        ...rest,
        sampling: { ...request([]).sampling, ...sampling },
      });

    it('gives answers that obey, greedy and sampled, alone and among others', async () => {
      const engine = await start();
      const valid = new Ajv2020().compile(schema);
      const asked = Array.from(
        { length: 8 },
        (_, salt) => () => ask(engine, salt, { sampling: salt % 2 ? { ...SAMPLED, choice: salt } : {} }),
      );
      const alone = [];
      for (const each of asked) alone.push(await run(engine, each()));
      for (const { tokens, reason } of alone) {
        expect(reason).toBe('stop');
        expect(valid(JSON.parse(textOf(engine, tokens))), textOf(engine, tokens)).toBe(true);
      }
      const free = record();
      engine.submit(request(promptOf(engine, { length: 9, salt: 99 }), { maxTokens: 40 }), free);
      const together = await Promise.all(asked.map((each) => run(engine, each())));
      expect(together.map(({ tokens }) => tokens)).toEqual(alone.map(({ tokens }) => tokens));
      expect((await free.done).reason).not.toBe('error');
    });

    it('continues an answer from any of its tokens, and ends one that was complete', async () => {
      const engine = await start();
      for (const sampling of [{}, SAMPLED]) {
        const whole = ask(engine, 20, { sampling });
        const { tokens } = await run(engine, whole);
        const cuts = [...tokens.keys()].filter((cut) => cut % 4 === 1 || cut === tokens.length - 1);
        const continued = await Promise.all(
          cuts.map(async (cut) => {
            const sent = tokens.slice(0, cut);
            const rest = await run(engine, {
              ...whole,
              tokenIds: Uint32Array.from([...whole.tokenIds, ...sent]),
            });
            return [...sent, ...rest.tokens];
          }),
        );
        expect(continued).toEqual(cuts.map(() => tokens));
        const tokenIds = Uint32Array.from([...whole.tokenIds, ...tokens]);
        expect(await run(engine, { ...whole, tokenIds })).toMatchObject({ tokens: [], reason: 'stop' });
      }
    });

    it('says length for an answer that is cut, and stop for one that is complete with its last token', async () => {
      const engine = await start();
      const { tokens } = await run(engine, ask(engine, 30));
      const cut = await run(engine, ask(engine, 30, { maxTokens: tokens.length - 1 }));
      expect(cut).toMatchObject({ tokens: tokens.slice(0, -1), reason: 'length' });
      const exact = await run(engine, ask(engine, 30, { maxTokens: tokens.length }));
      expect(exact).toMatchObject({ tokens, reason: 'stop' });
    });

    it('ends a complete answer whatever is said of ends', async () => {
      const engine = await start();
      const { tokens, reason } = await run(engine, ask(engine, 40, { ignoreEos: true, minTokens: 150 }));
      expect(reason).toBe('stop');
      JSON.parse(textOf(engine, tokens));
    });

    it('gives the log probabilities that the model has without the grammar', async () => {
      const engine = await start();
      const tops: number[] = [];
      const { promise, resolve } = Promise.withResolvers<void>();
      engine.submit(ask(engine, 50, { sampling: { topLogprobs: 2 } }), {
        started: () => {},
        token: (_id, _index, logprobs) => tops.push(logprobs!.top.length),
        end: () => resolve(),
      });
      await promise;
      expect(new Set(tops)).toEqual(new Set([2]));
    });

    it('says the same under pressure, when answers lose their blocks and begin again', async () => {
      const roomy = await start();
      const tight = await start({ totalBlocks: 8, maxNumSeqs: 4, contextLengthTokens: 128 });
      const asked = (engine: Engine) =>
        Array.from({ length: 6 }, (_, salt) => ask(engine, salt, { grammar: LETTERS, sampling: SAMPLED }));
      const outcomes = async (engine: Engine) =>
        (await Promise.all(asked(engine).map((each) => run(engine, each)))).map(({ tokens }) => tokens);
      expect(await outcomes(tight)).toEqual(await outcomes(roomy));
      await until(() => isIdle(tight));
    });

    it('lets a grammar go with its answer, however that ends', async () => {
      const engine = await start();
      let open = 0;
      const counted = (constraint: Constraint): Constraint => ({
        begin(tokens) {
          const answer = constraint.begin(tokens);
          open++;
          const free = answer.free.bind(answer);
          answer.free = () => {
            open--;
            free();
          };
          return answer;
        },
      });
      const asked = (salt: number) => {
        const made = ask(engine, salt);
        return { ...made, constraint: counted(made.constraint!) };
      };
      await run(engine, asked(60));
      const recording = record((count) => count === 3 && handle.abort());
      const handle = engine.submit(asked(61), recording);
      expect((await recording.done).reason).toBe('cancelled');
      expect(open).toBe(0);
    });

    it('ends one answer, not its neighbours, when its grammar fails', async () => {
      const engine = await start();
      const failing: Constraint = {
        begin: () => ({
          complete: false,
          allowed() {
            throw new Error('too costly');
          },
          push() {},
          free() {},
        }),
      };
      const [broken, sound] = await Promise.all([
        run(engine, { ...ask(engine, 70), constraint: failing }),
        run(engine, ask(engine, 71)),
      ]);
      expect([broken.reason, broken.error?.message, sound.reason]).toEqual(['error', 'too costly', 'stop']);
      expect(isIdle(engine)).toBe(true);
    });
  });
}

interface AskOptions extends Partial<Omit<EngineRequest, 'sampling'>> {
  grammar?: string;
  sampling?: Partial<SamplingOptions>;
}
