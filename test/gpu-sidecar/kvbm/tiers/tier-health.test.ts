/** When a tier rests and how it comes back. */

import { expect, it } from 'vitest';
import { ManualClock } from '../../../../durable/runtime/clock.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import { TierHealth } from '../../../../gpu-sidecar/kvbm/tiers/tier-health.ts';

function failing(health: TierHealth, times: number): void {
  for (let i = 0; i < times; i++) {
    expect(health.begin()).toBe(true);
    health.failed();
  }
}

it('rests after some faults in a row, and not after as many with a success between', () => {
  const health = new TierHealth(new ManualClock());
  failing(health, LIMITS.kvbmTierFaults - 1);
  health.succeeded();
  failing(health, LIMITS.kvbmTierFaults - 1);
  expect(health.degraded).toBe(false);
  failing(health, 1);
  expect([health.degraded, health.begin()]).toEqual([true, false]);
});

it('rests no longer because many operations were under way when it failed', () => {
  const clock = new ManualClock();
  const health = new TierHealth(clock);
  for (let i = 0; i < 100; i++) health.begin();
  for (let i = 0; i < 100; i++) health.failed();
  clock.advance(LIMITS.kvbmTierRestMs);
  expect(health.begin()).toBe(true);
});

it('lets one operation try after the rest, which grows as long as that fails, and is back when it succeeds', () => {
  const clock = new ManualClock();
  const health = new TierHealth(clock);
  failing(health, LIMITS.kvbmTierFaults);
  for (let restMs: number = LIMITS.kvbmTierRestMs, i = 0; i < 8; i++) {
    clock.advance(restMs - 1);
    expect(health.begin()).toBe(false);
    clock.advance(1);
    expect([health.begin(), health.begin()]).toEqual([true, false]);
    health.failed();
    restMs = Math.min(2 * restMs, LIMITS.kvbmTierLongRestMs);
  }
  clock.advance(LIMITS.kvbmTierLongRestMs);
  expect(health.begin()).toBe(true);
  health.succeeded();
  expect([health.degraded, health.begin(), health.begin()]).toEqual([false, true, true]);
});
