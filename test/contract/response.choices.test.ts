/**
 * Several choices in one response: a stream of them is continued elsewhere byte for byte, wherever it breaks and
 * whatever the engine's order was, and says of each choice what a response of that choice alone would say.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeptEvents } from '../../functions/dispatch/event-ids.ts';
import { endOfMarker, markerOf } from '../../gpu-sidecar/response/choice-turns.ts';
import type { ResponseFacts } from '../../gpu-sidecar/response/facts.ts';
import { openResponse, type ResponseFold } from '../../gpu-sidecar/response/response-fold.ts';
import { factsOf, payloads, runFold } from '../gpu-sidecar/response/facts-of.ts';
import { textVocabulary } from '../harness/byte-vocabulary.ts';

/** What the engine generates for one choice. */
interface Script {
  tokens: readonly number[];
  reason: 'stop' | 'length';
}

const TEXTS = ['a', 'b', 'ab', 'é', '😀', '\n', '"'];
const vocabulary = textVocabulary(TEXTS);

/** Log probabilities that follow from the token, as an exact engine's do. */
const logprobsOf = (facts: ResponseFacts, id: number) =>
  facts.logprobs && endOfMarker(id) === null
    ? { logprob: -id / 8, top: [[id, -id / 8] as const] }
    : undefined;

/** Drives a fold to its end as a fork would: each choice's next token in its turn. */
function drive(fold: ResponseFold, facts: ResponseFacts, scripts: readonly Script[]): Buffer {
  const { turns } = fold;
  const at = scripts.map((_, choice) => turns!.tokensOf(choice).length);
  const out = [Buffer.from(fold.encode(fold.open()))];
  if (!fold.done) out.push(Buffer.from(fold.encode(fold.started(3))));
  while (!fold.done) {
    const choice = turns!.turn;
    const { tokens, reason } = scripts[choice]!;
    const id = tokens[at[choice]!++] ?? markerOf(reason);
    out.push(Buffer.from(fold.encode(fold.push(id, logprobsOf(facts, id)))));
  }
  return Buffer.concat(out);
}

const script = fc.record({
  tokens: fc.array(fc.nat(TEXTS.length - 1), { maxLength: 4 }),
  reason: fc.constantFrom('stop' as const, 'length' as const),
});
const request = fc.record({
  scripts: fc.array(script, { minLength: 2, maxLength: 4 }),
  stop: fc.array(fc.constantFrom('b', 'ba', 'aa', '😀a'), { maxLength: 2 }),
  dialect: fc.constantFrom('openai-chat' as const, 'openai-completion' as const),
  includeUsage: fc.boolean(),
  logprobs: fc.boolean(),
});

test('a stream of choices that breaks at any byte continues without one missing or doubled', () => {
  fc.assert(
    fc.property(request, fc.nat(28), ({ scripts, ...rest }, first) => {
      const facts = factsOf({ ...rest, choices: scripts.length });
      const whole = drive(openResponse(facts, vocabulary), facts, scripts);
      for (let cut = first + 1; cut < whole.length; cut += 29) {
        const kept = new KeptEvents();
        kept.push(whole.subarray(0, cut));
        const state = kept.resumeState(3)!;
        const fold = openResponse(facts, vocabulary, {
          tokenIds: new Uint32Array(state.tokenIds.slice().buffer),
          events: state.events,
          partial: state.partialEvent,
          cachedTokens: 3,
        });
        const together = Buffer.concat([whole.subarray(0, cut), drive(fold, facts, scripts)]);
        if (!together.equals(whole)) expect.fail(`cut at ${cut}: ${together}`);
      }
    }),
    { numRuns: 40 },
  );
});

type Choice = { index: number; finish_reason: string | null; text?: string; delta?: { content?: string } };

test('each choice says what it would say alone, streamed or not, and the usage counts the prompt once', () => {
  fc.assert(
    fc.property(request, ({ scripts, ...rest }) => {
      const facts = factsOf({ ...rest, logprobs: false, includeUsage: true, choices: scripts.length });
      const events = payloads(drive(openResponse(facts, vocabulary), facts, scripts).toString());
      const plain = { ...facts, stream: false };
      const document = JSON.parse(drive(openResponse(plain, vocabulary), plain, scripts).toString());
      let completionTokens = 0;
      scripts.forEach((script, index) => {
        const alone = { ...plain, choices: 1 };
        const own = JSON.parse(runFold(openResponse(alone, vocabulary), script.tokens, script).toString());
        completionTokens += own.usage.completion_tokens;
        expect(document.choices[index]).toEqual({ ...own.choices[0], index });
        const mine = events.flatMap((event) => event['choices'] as Choice[]).filter((c) => c.index === index);
        const text = mine.map((choice) => choice.text ?? choice.delta?.content ?? '').join('');
        expect(text).toBe(own.choices[0].text ?? own.choices[0].message.content);
        expect(mine.map((choice) => choice.finish_reason).filter(Boolean)).toEqual([
          own.choices[0].finish_reason,
        ]);
      });
      expect(document.usage).toMatchObject({ prompt_tokens: 7, completion_tokens: completionTokens });
      expect(events.at(-1)!['usage']).toEqual(document.usage);
    }),
    { numRuns: 100 },
  );
});
