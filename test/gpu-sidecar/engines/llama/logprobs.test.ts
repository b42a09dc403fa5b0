/** Log probabilities of a row of logits, against the plain formula. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LEAST_LOGPROB } from '../../../../gpu-sidecar/engines/engine.ts';
import { logprobSpread } from '../../../../gpu-sidecar/engines/llama/logprobs.ts';

const row = fc.array(fc.float({ noNaN: true, min: -60, max: 60 }), { minLength: 1, maxLength: 50 });

test('they are log-softmax, the likeliest first and equal ones by id', () => {
  fc.assert(
    fc.property(row, fc.nat(20), (values, count) => {
      const logits = Float32Array.from(values);
      const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
      const expected = [...logits.entries()].sort(([a, x], [b, y]) => y - x || a - b).slice(0, count);
      const id = logits.length - 1;
      const { logprob, top } = logprobSpread(logits, count).of(id);
      expect(logprob).toBeCloseTo(logits[id]! - total, 9);
      expect(top.map(([other]) => other)).toEqual(expected.map(([other]) => other));
      top.forEach(([other, value]) => {
        expect(value).toBeCloseTo(logits[other]! - total, 9);
      });
    }),
  );
});

test('the row may be changed afterwards, and what is impossible has a number that JSON knows', () => {
  const logits = Float32Array.of(1, Number.NEGATIVE_INFINITY);
  const spread = logprobSpread(logits, 2);
  logits.fill(0);
  expect(spread.of(1)).toEqual({
    logprob: LEAST_LOGPROB,
    top: [
      [0, 0],
      [1, LEAST_LOGPROB],
    ],
  });
});
