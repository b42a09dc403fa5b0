/** Keep-alive: an idle fleet goes to zero when its time has come and not before, and stays there. */

import { describe, expect, it } from 'vitest';
import type { Counts } from '../../../durable/planner/fleet.ts';
import { look } from '../../../durable/planner/planner.ts';
import { type PlannerOptions, plannerConfig } from '../../../durable/planner/planner-config.ts';
import { newPlannerState } from '../../../durable/planner/planner-state.ts';
import { Profile } from '../../../durable/planner/profile.ts';
import { idleAfter, NOT_IDLE, withKeepAlive } from '../../../durable/planner/sleep.ts';
import { type Interval, MetricSource, PROFILE } from './metric-streams.ts';

const config = (more: Partial<PlannerOptions> = {}) =>
  plannerConfig({
    mode: 'sla',
    intervalMs: 60_000,
    keepAliveMs: 180_000,
    roles: { worker: { min: 0, max: 8 } },
    ...more,
  });

describe('idleness', () => {
  const reading = (arrived: number, more: object = {}) => ({ arrived, waiting: 0, ...more });

  it('begins with the second look that sees the same, and ends with anything new', () => {
    let idle = idleAfter(NOT_IDLE, reading(5));
    expect(idle.looks).toBe(0);
    idle = idleAfter(idle, reading(5));
    idle = idleAfter(idle, reading(5));
    expect(idle.looks).toBe(2);
    expect(idleAfter(idle, reading(6)).looks).toBe(0);
    expect(idleAfter(idle, reading(5, { waiting: 1 })).looks).toBe(0);
    expect(idleAfter(idle, reading(5, { inFlight: 1 })).looks).toBe(0);
    // The router restarted: it counts from 0 on, and nobody knows what it has forgotten.
    expect(idleAfter(idle, reading(0)).looks).toBe(0);
  });

  it('is not longer and not shorter for a reading that says nothing', () => {
    const idle = { arrived: 5, looks: 2 };
    for (const nothing of [null, {}, { arrived: Number.NaN, waiting: 0 }, 'late']) {
      expect(idleAfter(idle, nothing)).toEqual(idle);
    }
  });
});

describe('a proposal with keep-alive', () => {
  const proposed = (counts: Counts) => ({ kind: 'counts' as const, counts, because: 'demand' });

  it('is zero once the time has come, whatever was predicted', () => {
    const kept = withKeepAlive(proposed({ worker: 1 }), {
      idleMs: 180_000,
      current: { worker: 1 },
      config: config(),
    });
    expect(kept).toEqual({
      proposal: {
        kind: 'counts',
        counts: { worker: 0 },
        because: 'nothing came for 180 s, the keep-alive is 180 s',
      },
      sleeps: true,
    });
  });

  it('keeps one of each role before that', () => {
    const split = config({ roles: { prefill: { min: 0, max: 4 }, decode: { min: 0, max: 4 } } });
    const { proposal } = withKeepAlive(proposed({ prefill: 0, decode: 0 }), {
      idleMs: 60_000,
      current: { prefill: 1, decode: 2 },
      config: split,
    });
    expect(proposal).toMatchObject({
      counts: { prefill: 1, decode: 1 },
      because: 'demand; kept alive: 60 of 180 s without a request',
    });
  });

  it('wakes nobody that sleeps', () => {
    const { proposal } = withKeepAlive(proposed({ worker: 2 }), {
      idleMs: 600_000,
      current: { worker: 0 },
      config: config(),
    });
    expect(proposal).toMatchObject({ counts: { worker: 0 }, because: 'asleep: nothing came' });
  });

  it.each([
    ['a least that is not zero', config({ roles: { worker: { min: 1, max: 8 } } })],
    ['no keep-alive', plannerConfig({ mode: 'sla', roles: { worker: { min: 0, max: 8 } } })],
  ])('is as it was with %s', (_, other) => {
    const given = { proposal: proposed({ worker: 0 }), sleeps: false };
    const at = { idleMs: 600_000, current: { worker: 1 }, config: other };
    expect(withKeepAlive(given.proposal, at)).toEqual(given);
  });
});

it('the planner lets a fleet go to zero after its last request and no sooner, and leaves it there', () => {
  const profile = new Profile(PROFILE);
  const parts = { config: config(), profile };
  const source = new MetricSource();
  const busy: Interval = {
    requests: 1200,
    inputTokens: 2_000,
    outputTokens: 100,
    ttftMs: 60,
    itlMs: 12,
    workers: 1,
  };
  let state = newPlannerState();
  let ready = 1;
  const counts: number[] = [];
  const take = (interval: Interval) => {
    const input = {
      nowMs: 0,
      reading: source.pass(60_000, interval),
      fleet: { worker: { ready, starting: 0, draining: 0 } },
    };
    const taken = look(state, input, parts);
    state = taken.state;
    if (taken.decision.acts) ready = taken.decision.counts.worker!;
    counts.push(ready);
    return taken.decision;
  };
  for (let i = 0; i < 6; i++) take(busy);
  counts.length = 0;
  for (let i = 0; i < 10; i++) take({ ...busy, requests: 0, workers: ready });
  expect(Math.min(...counts.slice(0, 2))).toBeGreaterThanOrEqual(1);
  expect(counts.slice(2)).toEqual(new Array(8).fill(0));
});
