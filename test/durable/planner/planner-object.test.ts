/** Does the object look in its rhythm, order, follow, remember and explain? On the polyfill, with virtual time. */

import { describe, expect, it } from 'vitest';
import { DecisionReplay } from '../../../durable/planner/replay.ts';
import { BUSY_INTERVAL, IDLE_INTERVAL, MetricSource } from './metric-streams.ts';
import { PlannerWorld, ready } from './planner-world.ts';

const MINUTE = 60_000;

/** A fleet of workers, and demand that comes by the minute. */
function world(env: Record<string, unknown> = {}, first = 1) {
  const source = new MetricSource();
  const fleet = { worker: first };
  const asked = { interval: IDLE_INTERVAL };
  let lastMs = 0;
  const all = new PlannerWorld(env, async () => {
    const nowMs = all.host.nowMs();
    const metrics = source.pass(nowMs - lastMs, asked.interval);
    lastMs = nowMs;
    return { metrics, registered: ready(fleet) };
  });
  lastMs = all.host.nowMs();
  return { all, fleet, asked };
}

/** Does what was ordered, and says so. */
async function execute({ all, fleet }: ReturnType<typeof world>): Promise<number | null> {
  const kept = await all.order();
  if (kept === null || kept.outcome !== 'pending') return null;
  fleet.worker = kept.order.counts.worker!;
  await all.planner.completeOrder(kept.order.id, { failed: null, executor: 'test' });
  return fleet.worker;
}

async function minutes(these: ReturnType<typeof world>, count: number): Promise<void> {
  for (let minute = 0; minute < count; minute++) {
    await these.all.host.advance(MINUTE);
    await execute(these);
  }
}

describe('the planner object', () => {
  it('orders workers when demand rises, waits for them, and takes them away again when it ends', async () => {
    const these = world({ STATOR_PLANNER_MIN: '0', STATOR_PLANNER_STARTUP_SECS: '0' }, 0);
    await these.all.planner.status();
    await minutes(these, 2);
    these.asked.interval = BUSY_INTERVAL;
    await minutes(these, 8);
    expect(these.fleet.worker).toBeGreaterThan(1);
    const status = await these.all.planner.status();
    expect(status).toMatchObject({ mode: 'sla', problem: null, wants: { worker: these.fleet.worker } });
    these.asked.interval = IDLE_INTERVAL;
    await minutes(these, 12);
    expect(these.fleet.worker).toBe(0);
  });

  it('gives no further order while one is under way, and gives up one that never ends', async () => {
    const these = world({ STATOR_PLANNER_ACTION_LIMIT_SECS: '300' });
    const { all, asked } = these;
    await all.planner.status();
    asked.interval = BUSY_INTERVAL;
    await all.host.advance(4 * MINUTE);
    const first = (await all.order())!.order.id;
    await all.host.advance(MINUTE);
    expect((await all.order())!.order.id).toBe(first);
    expect((await all.planner.status()).because).toContain('the last action is under way');
    await all.host.advance(6 * MINUTE);
    expect((await all.order())!.order.id).toBeGreaterThan(first);
    const { decisions } = await all.planner.decisions({ limit: 50 });
    expect(decisions.find(({ id }) => id === first)).toMatchObject({ outcome: 'given_up' });
  });

  it('knows after a crash what it knew, and gives the order that was under way again', async () => {
    const these = world();
    const { all, asked } = these;
    await all.planner.status();
    asked.interval = BUSY_INTERVAL;
    await all.host.advance(4 * MINUTE);
    const before = await all.planner.status();
    const order = await all.order();
    expect(order).toMatchObject({ outcome: 'pending' });
    all.crash();
    expect(await all.planner.status()).toMatchObject({ looks: before.looks, wants: before.wants });
    expect(await all.order()).toEqual(order);
    await all.host.advance(MINUTE);
    expect((await all.planner.status()).looks).toBe(before.looks + 1);
  });

  it('looks on when nobody calls, also after a crash: its alarm brings it back', async () => {
    const { all } = world();
    const { looks } = await all.planner.status();
    await all.host.advance(MINUTE);
    all.crash();
    await all.host.advance(3 * MINUTE);
    expect((await all.planner.status()).looks).toBeGreaterThanOrEqual(looks + 3);
  });

  it('is not moved by a clock that jumps: neither looks in a rush nor sleeps', async () => {
    const { all } = world();
    const looks = async () => (await all.planner.status()).looks;
    await looks();
    await all.host.advance(1);
    for (const byMs of [86_400_000, -864_000_000, 3_600_000]) {
      const before = await looks();
      all.host.skewMs += byMs;
      await all.host.advance(3 * MINUTE);
      expect((await looks()) - before).toBe(3);
    }
  });

  it('does nothing when it is off, and says so', async () => {
    const { all } = world({ STATOR_PLANNER: 'off' });
    await all.host.advance(10 * MINUTE);
    expect(await all.planner.status()).toMatchObject({ mode: 'off', looks: 0, order: null });
    expect(await all.planner.wake()).toEqual({ waking: false, why: 'the planner is off' });
  });

  it('says what it would do in advisory mode, and orders nothing', async () => {
    const these = world({ STATOR_PLANNER_ADVISORY: 'true' });
    await these.all.planner.status();
    these.asked.interval = BUSY_INTERVAL;
    await these.all.host.advance(6 * MINUTE);
    const { wants, order } = await these.all.planner.status();
    expect(wants!.worker).toBeGreaterThan(1);
    expect(order).toBeNull();
    const { decisions } = await these.all.planner.decisions({ limit: 50 });
    expect(decisions.at(-1)).toMatchObject({ outcome: 'advised' });
    expect(await these.all.planner.wake()).toMatchObject({ waking: false });
  });

  it('does not look without a profile in SLA mode, and says why', async () => {
    const { all } = world({ STATOR_PLANNER_PROFILE: '' });
    expect((await all.planner.status()).problem).toContain('wants a profile');
  });
});

describe('a request for a sleeping model', () => {
  const ASLEEP = { STATOR_PLANNER_MIN: '0', STATOR_PLANNER_STARTUP_SECS: '60' };

  it('wakes one worker at once, however many ask, and keeps it for a while', async () => {
    const these = world(ASLEEP, 0);
    const { all } = these;
    await all.host.advance(10);
    const woken = await Promise.all([1, 2, 3].map(() => all.planner.wake()));
    expect(woken).toEqual([1, 2, 3].map(() => ({ waking: true, why: 'a request waits' })));
    expect(await all.order()).toMatchObject({ order: { counts: { worker: 1 } } });
    const { decisions } = await all.planner.decisions({ limit: 50 });
    expect(decisions.filter(({ kind }) => kind === 'wake')).toMatchObject([
      { decision: { because: ['a request waits'] }, outcome: 'pending' },
    ]);
    expect(await execute(these)).toBe(1);
    await all.planner.wake();
    await all.host.advance(MINUTE + 1);
    expect(these.fleet.worker).toBe(1);
    expect((await all.planner.status()).wants).toEqual({ worker: 1 });
  });

  it('wakes a prefill and a decode worker where the fleet is split', async () => {
    const env = { ...ASLEEP, STATOR_PLANNER_PREFILL_MAX: '4', STATOR_PLANNER_DECODE_MAX: '4' };
    const { all } = world(env, 0);
    await all.planner.wake();
    expect(await all.order()).toMatchObject({ order: { counts: { prefill: 1, decode: 1 } } });
  });
});

describe('the log of decisions', () => {
  it('explains each, comes in pages, and can be decided again with the same result', async () => {
    const these = world({ STATOR_PLANNER_MIN: '0' });
    const { all, asked } = these;
    await all.planner.status();
    asked.interval = BUSY_INTERVAL;
    await minutes(these, 40);
    asked.interval = IDLE_INTERVAL;
    all.crash();
    await minutes(these, 40);
    await all.planner.wake();
    const replay = new DecisionReplay();
    let after = 0;
    for (;;) {
      const page = await all.planner.decisions({ after, limit: 7, replay: true });
      if (page.decisions.length === 0) break;
      replay.take(page);
      after = page.decisions.at(-1)!.id;
    }
    expect(replay.different).toEqual([]);
    expect(replay.skipped).toBe(0);
    expect(replay.replayed).toBeGreaterThanOrEqual(80);
    const { decisions } = await all.planner.decisions({ limit: 5 });
    expect(decisions.map(({ id }) => id)).toEqual([4, 3, 2, 1, 0].map((back) => after - back));
    for (const { decision } of decisions) expect(decision.because.length).toBeGreaterThan(0);
  });

  it('finds a decision that was changed afterwards', async () => {
    const these = world();
    await these.all.planner.status();
    these.asked.interval = BUSY_INTERVAL;
    await minutes(these, 6);
    const page = await these.all.planner.decisions({ after: 0, limit: 50, replay: true });
    page.decisions[3]!.decision.counts = { worker: 7 };
    const replay = new DecisionReplay();
    replay.take(page);
    expect(replay.different.map(({ id }) => id)).toEqual([page.decisions[3]!.id]);
  });
});
