/**
 * The promise of design §1.4: whatever the request, and wherever a stream breaks, what the first worker sent and what
 * the second one sends are together the uninterrupted stream, byte for byte. The platform's own reading of the broken
 * part (`functions/dispatch`) stands between the two.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeptEvents } from '../../functions/dispatch/event-ids.ts';
import type { Vocabulary } from '../../gpu-sidecar/engines/engine.ts';
import { KEEP_ALIVE } from '../../gpu-sidecar/response/comment.ts';
import type { ResponseFacts } from '../../gpu-sidecar/response/facts.ts';
import { openResponse } from '../../gpu-sidecar/response/response-fold.ts';
import { factsOf, runFold } from '../gpu-sidecar/response/facts-of.ts';
import { bytesOf, byteVocabulary, textVocabulary, vocabularyOf } from '../harness/byte-vocabulary.ts';

interface Run {
  facts: ResponseFacts;
  vocabulary: Vocabulary;
  tokens: readonly number[];
  reason: 'stop' | 'length';
}

/** What the second worker sends after the client got `sent`; its engine repeats itself exactly. */
function continuation(run: Run, sent: Uint8Array, cached: { told: number | null; found: number }): Buffer {
  const kept = new KeptEvents();
  kept.push(sent);
  const state = kept.resumeState(cached.told);
  // Before anything was sent it starts anew, here with as much in its own cache.
  const anew = { reason: run.reason, cachedTokens: cached.told ?? 0 };
  if (state === null) return runFold(openResponse(run.facts, run.vocabulary), run.tokens, anew);
  const tokenIds = new Uint32Array(state.tokenIds.slice().buffer);
  const fold = openResponse(run.facts, run.vocabulary, {
    tokenIds,
    events: state.events,
    partial: state.partialEvent,
    cachedTokens: state.cachedTokens,
  });
  return runFold(fold, run.tokens.slice(tokenIds.length), { reason: run.reason, cachedTokens: cached.found });
}

function checkEveryCut(run: Run, comments = ''): void {
  const stream = Buffer.from(
    runFold(openResponse(run.facts, run.vocabulary), run.tokens, { reason: run.reason, cachedTokens: 3 }),
  );
  const whole = Buffer.concat([Buffer.from(comments), stream]);
  for (let cut = 0; cut < whole.length; cut++) {
    const sent = whole.subarray(0, cut);
    const rest = continuation(run, sent, { told: 3, found: 0 });
    const together = Buffer.concat([sent, rest]).toString('latin1');
    const events = together.replaceAll(KEEP_ALIVE, '');
    if (events !== stream.toString('latin1')) expect.fail(`cut at ${cut}: ${together}`);
  }
}

const reason = fc.constantFrom('stop' as const, 'length' as const);
const dialect = fc.constantFrom(
  'openai-chat' as const,
  'openai-completion' as const,
  'anthropic-messages' as const,
  'openai-responses' as const,
);
const piece = fc.constantFrom(
  'a',
  'b',
  'ab',
  'ba',
  '😀',
  'é',
  '"',
  '\n',
  '\n\n',
  '\\',
  'data: ',
  'id: 1:',
  ': ',
);

describe('a stream that breaks continues without a byte missing or doubled', () => {
  test('for every request, vocabulary and stop string, at every byte', () => {
    fc.assert(
      fc.property(
        fc.record({
          texts: fc.array(piece, { minLength: 1, maxLength: 5 }),
          picks: fc.array(fc.nat(9), { maxLength: 6 }),
          stop: fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '😀'), minLength: 1, maxLength: 3 }), {
            maxLength: 2,
          }),
          minTokens: fc.nat(2),
          includeUsage: fc.boolean(),
          dialect,
          echoText: fc.constantFrom('', 'é echo'),
          reason,
        }),
        ({ texts, picks, reason, ...facts }) => {
          const tokens = picks.map((pick) => pick % texts.length);
          checkEveryCut({ facts: factsOf(facts), vocabulary: textVocabulary(texts), tokens, reason });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('when characters are spread over tokens, valid or not', () => {
    const bytes = fc.constantFrom(0x61, 0xf0, 0x9f, 0x98, 0x80, 0xc3, 0xa9, 0xff, 256);
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 8 }), reason, (tokens, reason) => {
        checkEveryCut({ facts: factsOf({ stop: ['aé'] }), vocabulary: byteVocabulary, tokens, reason });
      }),
      { numRuns: 60 },
    );
  });

  test('when tokens are pieces of an emoji and the break is inside the emoji', () => {
    const vocabulary = vocabularyOf([
      bytesOf('so '),
      bytesOf('😀').subarray(0, 2),
      bytesOf('😀').subarray(2),
    ]);
    checkEveryCut({
      facts: factsOf({ includeUsage: true }),
      vocabulary,
      tokens: [0, 1, 2, 0],
      reason: 'stop',
    });
  });

  test('when it broke inside a keep-alive comment', () => {
    const vocabulary = textVocabulary(['x', 'y']);
    checkEveryCut({ facts: factsOf(), vocabulary, tokens: [0, 1], reason: 'stop' }, KEEP_ALIVE + KEEP_ALIVE);
  });
});

describe('the second worker', () => {
  const vocabulary = textVocabulary(['one', 'two', 'three']);
  const run: Run = { facts: factsOf({ includeUsage: true }), vocabulary, tokens: [0, 1, 2], reason: 'stop' };
  const whole = runFold(openResponse(run.facts, vocabulary), run.tokens, { cachedTokens: 128 });

  test('keeps the usage valid when nobody knows how much the first one had cached', () => {
    const at = whole.indexOf('"cached_tokens":128');
    for (const digits of [0, 1, 2, 3]) {
      const sent = whole.subarray(0, at + '"cached_tokens":'.length + digits);
      const together = Buffer.concat([sent, continuation(run, sent, { told: null, found: 64 })]).toString();
      expect(together).toMatch(/"cached_tokens":(64|1|12|128)\}\}\}\n\nid: 6:\ndata: \[DONE\]\n\n$/);
    }
  });

  test('ends with an error event when its engine does not repeat the interrupted event', () => {
    const sent = whole.subarray(0, whole.indexOf('two') + 2);
    const rest = continuation({ ...run, tokens: [0, 2, 2] }, sent, { told: 128, found: 0 }).toString();
    expect(rest).toMatch(/^\n\ndata: \{"error":\{.*"code":"migration_exhausted"\}\}\n\n$/);
  });

  test('ends with an error event when its engine goes on where the first one had ended', () => {
    const sent = whole.subarray(0, whole.indexOf('id: 5:'));
    const rest = continuation({ ...run, tokens: [0, 1, 2, 1, 1, 1] }, sent, {
      told: 128,
      found: 0,
    }).toString();
    expect(rest).toContain('"code":"migration_exhausted"');
    expect(rest).not.toContain('two');
  });

  test('says nothing between the halves of an event', () => {
    const fold = openResponse(run.facts, vocabulary, {
      tokenIds: Uint32Array.of(0),
      events: 2,
      partial: Buffer.from('id: 2:'),
      cachedTokens: 0,
    });
    expect(fold.open()).toBe('');
    expect(fold.keepAlive()).toBe('');
    fold.push(1);
    expect(fold.keepAlive()).toBe(KEEP_ALIVE);
  });
});
