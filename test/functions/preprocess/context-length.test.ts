/** Prompt and answer share the context. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { boundedMaxTokens } from '../../../functions/preprocess/context-length.ts';

const use = (promptTokens: number, maxTokens: number | null, contextLengthTokens = 1024) =>
  boundedMaxTokens({ contextLengthTokens, promptTokens, maxTokens, shrink: false, promptParam: 'messages' });

test('prompt and answer fill the context to the last token', () => {
  expect(use(1000, 24)).toBe(24);
  expect(use(1023, null)).toBe(1);
  expect(use(1000, null)).toBe(24);
  expect(use(10, null, 1_000_000)).toBe(LIMITS.defaultMaxTokens);
});

test('one token more is an error that names the numbers', () => {
  expect(() => use(1000, 25)).toThrow(
    "This model's maximum context length is 1024 tokens. However, you requested 1025 tokens (1000 in the messages, 25 in the completion). Please reduce the length of the messages or completion.",
  );
  expect(() => use(1024, 1)).toThrow('your messages resulted in 1024 tokens');
});

test('whatever is allowed fits', () => {
  const tokens = fc.integer({ min: 1, max: 5000 });
  fc.assert(
    fc.property(tokens, fc.option(tokens), tokens, (prompt, max, context) => {
      try {
        const allowed = use(prompt, max, context);
        expect(allowed).toBeGreaterThan(0);
        expect(prompt + allowed).toBeLessThanOrEqual(context);
        if (max !== null) expect(allowed).toBe(max);
      } catch (error) {
        expect(error).toMatchObject({ code: 'context_length_exceeded' });
        expect(prompt + (max ?? 1)).toBeGreaterThan(context);
      }
    }),
  );
});

test('where it may shrink, an answer that is too long is cut to what is left', () => {
  const shrinking = (promptTokens: number) =>
    boundedMaxTokens({
      contextLengthTokens: 1024,
      promptTokens,
      maxTokens: 4096,
      shrink: true,
      promptParam: 'messages',
    });
  expect(shrinking(1000)).toBe(24);
  expect(() => shrinking(1024)).toThrow('no room for an answer');
});
