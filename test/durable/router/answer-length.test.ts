/** The mean length of answers: a guess, then the first ones in full, then newer ones more. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AnswerLength } from '../../../durable/router/answer-length.ts';

test('is a guess before any answer, and the first answer after it', () => {
  const answers = new AnswerLength();
  expect(answers.meanTokens).toBe(200);
  answers.learn(40);
  expect(answers.meanTokens).toBe(40);
});

test('of few answers it is their mean', () => {
  const answers = new AnswerLength();
  for (const tokens of [10, 20, 60]) answers.learn(tokens);
  expect(answers.meanTokens).toBeCloseTo(30, 9);
});

test('follows when answers get longer', () => {
  const answers = new AnswerLength();
  for (let i = 0; i < 1_000; i++) answers.learn(100);
  for (let i = 0; i < 150; i++) answers.learn(300);
  expect(answers.meanTokens).toBeGreaterThan(280);
});

test('is never outside of what was seen', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9_999 }), { minLength: 1 }), (lengths) => {
      const answers = new AnswerLength();
      for (const tokens of lengths) answers.learn(tokens);
      expect(answers.meanTokens).toBeGreaterThanOrEqual(Math.min(...lengths) - 1e-6);
      expect(answers.meanTokens).toBeLessThanOrEqual(Math.max(...lengths) + 1e-6);
    }),
  );
});
