/** How large a batch may be. */

import { describe, expect, it } from 'vitest';
import { BatchBudget } from '../../../../gpu-sidecar/engines/llama/batch-budget.ts';

describe('the batch budget', () => {
  it('grows to the most on a fast machine, and shrinks at once on a slow one', () => {
    const budget = new BatchBudget({ most: 512 });
    expect(budget.tokens(0)).toBe(64);
    for (let i = 0; i < 30; i++) budget.measured(budget.tokens(0), 0.05 * budget.tokens(0));
    expect(budget.tokens(0)).toBe(512);
    budget.measured(512, 1_024);
    expect(budget.tokens(0)).toBe(100);
  });

  it('always has room for every running request and some prefill', () => {
    const budget = new BatchBudget({ most: 512 });
    budget.measured(64, 64_000);
    expect(budget.tokens(30)).toBe(46);
    expect(budget.tokens(600)).toBe(512);
  });

  it('learns nothing from small batches', () => {
    const budget = new BatchBudget({ most: 512 });
    budget.measured(1, 50);
    expect(budget.tokens(0)).toBe(64);
  });
});
