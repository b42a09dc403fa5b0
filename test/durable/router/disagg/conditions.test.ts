/** Which prompts stay with their decode worker, at the limits of each condition. */

import { expect, test } from 'vitest';
import { staysByLength, staysByLoad } from '../../../../durable/router/disagg/conditions.ts';
import type { DisaggPolicy, DisaggSettings } from '../../../../durable/router/rpc.ts';

const settings = (policy: DisaggPolicy, change: Partial<DisaggSettings> = {}): DisaggSettings => ({
  policy,
  islTokens: 2_048,
  islRatio: 0.7,
  prefillBusyThreshold: 1,
  decodeBusyThreshold: null,
  maxLocalPrefillLength: 1_000,
  maxPrefillQueueSize: 2,
  ...change,
});

const facts = (
  promptTokens: number,
  cachedTokens = 0,
  more: { decodeLoad?: number; queue?: number } = {},
) => ({
  promptTokens,
  cachedTokens,
  decodeLoad: more.decodeLoad ?? 0,
  prefillQueueSize: more.queue ?? 0,
});

test('isl_bounding wants both: few tokens, and a small share of the prompt', () => {
  const stays = (promptTokens: number, cachedTokens: number) =>
    staysByLength(settings('isl_bounding'), facts(promptTokens, cachedTokens));
  // 2,047 of 3,000 is 0.682.
  expect(stays(3_000, 953)).toBe('isl');
  expect(stays(3_000, 952)).toBeNull();
  // 700 of 1,000 is not below 0.7.
  expect(stays(1_000, 300)).toBeNull();
  expect(stays(1_000, 301)).toBe('isl');
  // A short prompt that nobody has cached goes.
  expect(stays(10, 0)).toBeNull();
  // More cached than there is: nothing to compute.
  expect(stays(10, 500)).toBe('isl');
});

test('prefill_load looks at the prefill worker alone, isl_or_load at both', () => {
  expect(staysByLength(settings('prefill_load'), facts(1_000, 999))).toBeNull();
  expect(staysByLength(settings('isl_or_load'), facts(1_000, 999))).toBe('isl');
  for (const policy of ['prefill_load', 'isl_or_load'] as const) {
    expect(staysByLoad(settings(policy), facts(1_000), 1)).toBeNull();
    expect(staysByLoad(settings(policy), facts(1_000), 1.001)).toBe('load');
    expect(staysByLoad(settings(policy, { prefillBusyThreshold: null }), facts(1_000), 99)).toBeNull();
  }
  for (const policy of ['always', 'isl_bounding', 'prefill_queue', 'never'] as const) {
    expect(staysByLoad(settings(policy), facts(1_000), 99)).toBeNull();
  }
});

test('above its threshold a decode worker computes nothing that others may', () => {
  const guarded = (policy: DisaggPolicy) => settings(policy, { decodeBusyThreshold: 0.5 });
  expect(staysByLength(guarded('isl_bounding'), facts(1_000, 999, { decodeLoad: 0.5 }))).toBe('isl');
  expect(staysByLength(guarded('isl_bounding'), facts(1_000, 999, { decodeLoad: 0.501 }))).toBeNull();
  expect(staysByLoad(guarded('prefill_load'), facts(1_000, 0, { decodeLoad: 0.501 }), 9)).toBeNull();
});

test('prefill_queue goes above the local length, while the queue has room', () => {
  const stays = (promptTokens: number, queue: number) =>
    staysByLength(settings('prefill_queue'), facts(promptTokens, 0, { queue }));
  expect(stays(1_000, 0)).toBe('isl');
  expect(stays(1_001, 1)).toBeNull();
  expect(stays(1_001, 2)).toBe('load');
});

test('always goes and never stays', () => {
  expect(staysByLength(settings('always'), facts(10, 10))).toBeNull();
  expect(staysByLength(settings('never'), facts(100_000))).toBe('never');
});
