/** One wake for many requests, on virtual time: what the planner is asked, and when the next try may come. */

import { describe, expect, it } from 'vitest';
import { VirtualHost } from '../../../../durable/polyfill/virtual-host.ts';
import { Waker } from '../../../../durable/router/sleep/waker.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';

type Order = { order: { id: number }; outcome: string; why: string } | null;

function waker(script: { waking?: boolean; failsAsOrder?: number; before?: Order; away?: boolean } = {}) {
  const host = new VirtualHost({ startMs: 0 });
  const told: [string, number][] = [];
  const state = { wanted: true, wakes: 0, order: script.before ?? null };
  const made = new Waker({
    host,
    planner: () => ({
      async wake() {
        if (script.away) throw new Error('the object is gone');
        state.wakes++;
        if (script.failsAsOrder !== undefined) {
          state.order = { order: { id: script.failsAsOrder }, outcome: 'failed', why: 'no port is free' };
        }
        const waking = script.waking ?? true;
        return { waking, why: waking ? 'a request waits' : 'the planner only advises' };
      },
      status: async () => ({ order: state.order }),
    }),
    isWanted: () => state.wanted,
    turnAway(why, restMs) {
      told.push([why, restMs]);
      state.wanted = false;
    },
  });
  return { made, host, told, state };
}

describe('the waker', () => {
  it('asks the planner once for many, and again while they wait', async () => {
    const { host, made, state, told } = waker();
    for (let i = 0; i < 100; i++) made.call();
    await host.advance(0);
    expect(state.wakes).toBe(1);
    await host.advance(4 * LIMITS.wakeLookMs);
    expect(state.wakes).toBeLessThanOrEqual(5);
    state.wanted = false;
    await host.advance(60_000);
    expect(state.wakes).toBeLessThanOrEqual(6);
    expect(told).toEqual([]);
  });

  it('tells why the order failed', async () => {
    const { host, made, told } = waker({ failsAsOrder: 8 });
    made.call();
    await host.advance(LIMITS.wakeLookMs);
    expect(told).toEqual([['no port is free', LIMITS.wakeRestMs]]);
  });

  it('does not take an earlier failure for its own', async () => {
    const before = { order: { id: 8 }, outcome: 'failed', why: 'long ago' };
    const { host, made, state, told } = waker({ before });
    made.call();
    await host.advance(10 * LIMITS.wakeLookMs);
    expect(told).toEqual([]);
    state.wanted = false;
    await host.advance(LIMITS.wakeLookMs);
  });

  it('tells at once where nobody may act, or nobody answers', async () => {
    const advises = waker({ waking: false });
    advises.made.call();
    await advises.host.advance(0);
    expect(advises.told[0]?.[0]).toBe('the planner only advises');
    const away = waker({ away: true });
    away.made.call();
    await away.host.advance(0);
    expect(away.told[0]?.[0]).toBe('the planner does not answer: the object is gone');
  });

  it('rests twice as long after each failure, up to a bound, and not after a success', async () => {
    const script = { failsAsOrder: 0 };
    const { host, made, state, told } = waker(script);
    const fail = async () => {
      script.failsAsOrder++;
      state.wanted = true;
      made.call();
      await host.advance(LIMITS.wakeLookMs);
      return told.at(-1)?.[1];
    };
    expect([await fail(), await fail(), await fail()]).toEqual([1_000, 2_000, 4_000]);
    for (let i = 0; i < 8; i++) await fail();
    expect(await fail()).toBe(LIMITS.wakeLongRestMs);
    made.succeeded();
    expect(await fail()).toBe(1_000);
  });
});
