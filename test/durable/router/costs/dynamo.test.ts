/** Is the cost that of semantics §1.3, in each of its forms, and monotonic in every input? */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CostInputs } from '../../../../durable/router/costs/cost-rule.ts';
import { cachedTokens, dynamo } from '../../../../durable/router/costs/dynamo.ts';
import { COST_RULES } from '../../../../durable/router/costs/registry.ts';
import { type CostWeights, policyFor, policyOf } from '../../../../durable/router/policy.ts';
import { resolveSettings, settingsFromEnv } from '../../../../durable/runtime/config.ts';

const DEFAULT = policyOf(resolveSettings([]), () => 0);

interface Row {
  device?: number;
  host?: number;
  disk?: number;
  sharedBeyond?: number;
  prefillTokens?: number;
  decodeBlocks?: number;
  activeRequests?: number;
  preference?: number;
}

function costsOf(
  rows: Row[],
  weights: CostWeights = DEFAULT,
  request: Partial<Pick<CostInputs, 'promptTokens' | 'role' | 'tracksPrefill'>> = {},
): number[] {
  const column = (name: keyof Row, fallback = 0) => Float64Array.from(rows, (row) => row[name] ?? fallback);
  const costs = new Float64Array(rows.length);
  const inputs: CostInputs = {
    count: rows.length,
    ranks: [],
    nowMs: 0,
    promptTokens: 160,
    outputTokens: 0,
    blockSizeTokens: 16,
    role: undefined,
    tracksPrefill: true,
    isNeutral: rows.every(
      ({ host, disk, sharedBeyond, preference }) => !host && !disk && !sharedBeyond && !preference,
    ),
    device: column('device'),
    host: column('host'),
    disk: column('disk'),
    sharedBeyond: column('sharedBeyond'),
    prefillTokens: column('prefillTokens'),
    decodeBlocks: column('decodeBlocks'),
    ownBlocks: column('decodeBlocks'),
    activeRequests: column('activeRequests'),
    preference: column('preference', 1),
    ...request,
  };
  dynamo.price(inputs, weights, costs);
  return [...costs];
}

const EXAMPLE: Row[] = [
  { device: 2, decodeBlocks: 10 },
  { device: 5, decodeBlocks: 5 },
  { device: 8, decodeBlocks: 9 },
];

describe('the formula', () => {
  test('the worked example: 10 prefill blocks, (device, D) of (2,10), (5,5), (8,9) cost 18, 10 and 11', () => {
    expect(costsOf(EXAMPLE)).toEqual([18, 10, 11]);
  });

  test('a partial block counts by its tokens', () => {
    expect(costsOf([{}], DEFAULT, { promptTokens: 24 })).toEqual([1.5]);
  });

  test('overlap of a busy worker also offsets its queue, but never more than there is', () => {
    expect(costsOf([{ prefillTokens: 160, device: 10 }])).toEqual([10]);
    expect(costsOf([{ prefillTokens: 160, device: 10 }], { ...DEFAULT, overlapScoreCredit: 5 })).toEqual([0]);
  });

  test('tiers below the device count less, the shared cache by its multiplier', () => {
    const [cost] = costsOf([{ device: 2, host: 4, disk: 4, sharedBeyond: 2 }]);
    expect(cost).toBe(10 - 2 - 3 - 1 - 1);
  });

  test('each weight scales its own term', () => {
    const weights = {
      ...DEFAULT,
      overlapScoreCredit: 0.5,
      prefillLoadScale: 2,
      decodeActiveRequestWeight: 10,
    };
    const row = { device: 4, prefillTokens: 32, decodeBlocks: 7, activeRequests: 3 };
    expect(costsOf([row], weights)).toEqual([2 * (12 - 2) + 7 + 30]);
  });

  test('credit decays on workers that are busier than the idlest, by their prompts in lengths of this one', () => {
    const weights = { ...DEFAULT, overlapScoreCreditDecay: 1 };
    const rows = [
      { device: 4, prefillTokens: 160 },
      { device: 4, prefillTokens: 320 },
    ];
    expect(costsOf(rows, weights)).toEqual([20 - 4, 30 - 2]);
    expect(costsOf(rows)).toEqual([16, 26]);
  });

  test('a preferred worker costs a share of what it would', () => {
    expect(costsOf([{ preference: 0.5 }, { preference: 2 }])).toEqual([5, 20]);
  });
});

describe('without prefill', () => {
  test('a decode worker chosen by load costs D + A · R, whatever it has cached', () => {
    const policy = policyFor({ ...DEFAULT, decodeActiveRequestWeight: 2 }, { role: 'decode' });
    const request = { role: 'decode' as const, tracksPrefill: policy.trackPrefillTokens };
    const rows = [{ device: 8, host: 5, decodeBlocks: 9, activeRequests: 1, prefillTokens: 99 }];
    expect(costsOf(rows, policy, request)).toEqual([11]);
  });

  test('a decode worker chosen by its cache, too: the credit offsets D, not below 0', () => {
    const request = { role: 'decode' as const, tracksPrefill: false };
    expect(costsOf(EXAMPLE, DEFAULT, request)).toEqual([8, 0, 1]);
    expect(costsOf([{ device: 8, decodeBlocks: 3, activeRequests: 1 }], DEFAULT, request)).toEqual([0]);
  });

  test('prefill that is not tracked costs nothing, nor does its credit bring anything', () => {
    expect(costsOf(EXAMPLE, DEFAULT, { tracksPrefill: false })).toEqual([10, 5, 9]);
  });
});

describe("0.9's single weight", () => {
  const from09 = (weight: string) =>
    policyOf(settingsFromEnv({ STATOR_OVERLAP_SCORE_WEIGHT: weight }), () => 0);

  test('is the scale of prefill', () => {
    expect(costsOf(EXAMPLE, from09('2'))).toEqual([2 * 8 + 10, 2 * 5 + 5, 2 * 2 + 9]);
  });

  test('of 0 means load alone', () => {
    const policy = from09('0');
    expect([policy.prefillLoadScale, policy.overlapScoreCredit]).toEqual([0, 0]);
    expect(costsOf(EXAMPLE, policy)).toEqual([10, 5, 9]);
  });

  test('means the same for one request', () => {
    const one = policyFor(DEFAULT, { override: { overlapScoreWeight: 0 } });
    expect([one.prefillLoadScale, one.overlapScoreCredit]).toEqual([0, 0]);
    expect(policyFor(DEFAULT, { override: { overlapScoreWeight: 3 } }).prefillLoadScale).toBe(3);
  });
});

test('more load never costs less, more overlap never more', () => {
  const row = fc.record({
    device: fc.nat(100),
    prefillTokens: fc.nat(10_000),
    decodeBlocks: fc.nat(1_000),
    activeRequests: fc.nat(100),
  });
  const weight = fc.double({ min: 0, max: 10, noNaN: true });
  const weights = fc.record({
    overlapScoreCredit: weight,
    prefillLoadScale: weight,
    decodeActiveRequestWeight: weight,
  });
  fc.assert(
    fc.property(row, weights, fc.nat(5_000), (load, some, promptTokens) => {
      const cost = (changed: Row) => costsOf([changed], { ...DEFAULT, ...some }, { promptTokens })[0]!;
      const base = cost(load);
      expect(base).toBeGreaterThanOrEqual(0);
      expect(cost({ ...load, device: load.device + 1 })).toBeLessThanOrEqual(base);
      for (const term of ['prefillTokens', 'decodeBlocks', 'activeRequests'] as const) {
        expect(cost({ ...load, [term]: load[term] + 1 })).toBeGreaterThanOrEqual(base);
      }
    }),
  );
});

test('the short way of the ordinary case gives what the whole formula gives', () => {
  const row = fc.record({ device: fc.nat(100), prefillTokens: fc.nat(9_999), decodeBlocks: fc.nat(999) });
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 9 }), fc.nat(5_000), (rows, promptTokens) => {
      const whole = costsOf([...rows, { preference: 1 }], DEFAULT, { promptTokens });
      expect(costsOf(rows, DEFAULT, { promptTokens })).toEqual(whole.slice(0, -1));
    }),
  );
});

test('cached tokens are the weighted blocks of all tiers, rounded', () => {
  expect(cachedTokens({ device: 2, host: 1, disk: 1 }, DEFAULT, 16)).toBe(48);
  expect(cachedTokens({ device: 0, host: 0, disk: 1 }, DEFAULT, 5)).toBe(1);
});

test('every rule is known by its own name', () => {
  for (const [name, rule] of Object.entries(COST_RULES)) expect(rule.name).toBe(name);
});
