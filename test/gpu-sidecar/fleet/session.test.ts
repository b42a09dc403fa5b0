/** The fleet socket as a state machine, on hand-driven time. */

import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { refusal, upgradeRefusal } from '../../../gpu-sidecar/fleet/refusal.ts';
import {
  type Effect,
  type Happening,
  newSession,
  type Session,
  step,
  wakeAtMs,
} from '../../../gpu-sidecar/fleet/session.ts';
import { type RouterFrame, RouterFrameSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';

const timing = { reconnectMinMs: 50, reconnectMaxMs: 2_000, registerTimeoutMs: 5_000 };

class Machine {
  session: Session = newSession(0);
  nowMs = 0;

  happen(happening: Happening): Effect[] {
    const [session, effects] = step(this.session, happening, { nowMs: this.nowMs, random: 0 }, timing);
    this.session = session;
    return effects;
  }

  frame(value: RouterFrame['frame']): Effect[] {
    return this.happen({ kind: 'frame', frame: create(RouterFrameSchema, { frame: value }) });
  }

  /** Moves time to the next thing that is due, and does it. */
  next(): Effect[] {
    this.nowMs = wakeAtMs(this.session, timing)!;
    return this.happen({ kind: 'tick' });
  }
}

const welcome = (routerBoot = 7): RouterFrame['frame'] => ({
  case: 'welcome',
  value: {
    $typeName: 'stator.v1.Welcome',
    routerBoot,
    leaseMs: 10_000,
    heartbeatMs: 2_000,
    wantsPasses: false,
  },
});
const rejected = (code: string): RouterFrame['frame'] => ({
  case: 'rejected',
  value: { $typeName: 'stator.v1.Rejected', code, message: 'no' },
});
const ack: RouterFrame['frame'] = { case: 'ack', value: { $typeName: 'stator.v1.Ack' } };

function live(): Machine {
  const machine = new Machine();
  machine.happen({ kind: 'tick' });
  machine.happen({ kind: 'opened' });
  machine.frame(welcome());
  return machine;
}

describe('a session', () => {
  test('dials at once, registers when the socket opens and is live when welcomed', () => {
    const machine = new Machine();
    expect(machine.happen({ kind: 'tick' })).toEqual([{ do: 'dial' }]);
    expect(machine.happen({ kind: 'opened' })).toEqual([{ do: 'register' }]);
    expect(machine.frame(welcome(9))).toEqual([{ do: 'welcomed', routerBoot: 9, wantsPasses: false }]);
    expect(machine.session.name).toBe('live');
  });

  test('sends a heartbeat when its time comes, and lives as long as something answers', () => {
    const machine = live();
    for (let beat = 1; beat <= 10; beat++) {
      expect(machine.next()).toEqual([{ do: 'heartbeat' }]);
      expect(machine.nowMs).toBe(beat * 2_000);
      machine.frame(ack);
    }
  });

  test('gives up a half-open socket after three silent heartbeats, well within the lease, and dials again', () => {
    const machine = live();
    expect(machine.next()).toEqual([{ do: 'heartbeat' }]);
    expect(machine.next()).toEqual([{ do: 'heartbeat' }]);
    expect(machine.next()).toMatchObject([{ do: 'hang-up', inOrder: false }, { do: 'retry' }]);
    expect(machine.nowMs).toBe(6_000);
    expect(machine.next()).toEqual([{ do: 'dial' }]);
  });

  test('does not wait for an answer to Register for ever', () => {
    const machine = new Machine();
    machine.happen({ kind: 'tick' });
    machine.happen({ kind: 'opened' });
    expect(machine.next()).toMatchObject([{ do: 'hang-up' }, { do: 'retry' }]);
    expect(machine.nowMs).toBe(5_000);
  });

  test('waits longer after each failed try, up to the most, and starts short again after a live one', () => {
    const machine = new Machine();
    const waits: number[] = [];
    for (let i = 0; i < 14; i++) {
      machine.next();
      const [retry] = machine.happen({ kind: 'lost', reason: 'refused' });
      if (retry?.do === 'retry') waits.push(retry.inMs);
    }
    expect(waits[0]).toBe(50);
    expect(waits.at(-1)).toBe(2_000);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    const again = live();
    expect(again.happen({ kind: 'lost', reason: 'gone' })).toMatchObject([{ do: 'retry', inMs: 50 }]);
  });

  test.each(['stale_epoch', 'card_mismatch', 'invalid_api_key', 'invalid_request'])(
    'ends for good when rejected with %s',
    (code) => {
      const machine = new Machine();
      machine.happen({ kind: 'tick' });
      machine.happen({ kind: 'opened' });
      expect(machine.frame(rejected(code))).toMatchObject([
        { do: 'hang-up' },
        { do: 'give-up', refusal: { permanent: true, error: { code } } },
      ]);
      expect(machine.session.name).toBe('refused');
      expect(wakeAtMs(machine.session, timing)).toBeNull();
      expect(machine.happen({ kind: 'lost', reason: 'closed' })).toEqual([]);
    },
  );

  test.each(['overloaded', 'internal', 'a_code_of_tomorrow'])('tries again when rejected with %s', (code) => {
    const machine = live();
    expect(machine.frame(rejected(code))).toMatchObject([{ do: 'hang-up' }, { do: 'retry' }]);
  });

  test('does what the router orders', () => {
    const machine = live();
    const resend = { $typeName: 'stator.v1.ResendEvents' as const, dpRank: 0, fromEventId: 5n };
    expect(machine.frame({ case: 'resend', value: resend })).toEqual([
      { do: 'resend', dpRank: 0, fromEventId: 5 },
    ]);
    expect(
      machine.frame({ case: 'sendDump', value: { $typeName: 'stator.v1.SendDump', dpRank: 0 } }),
    ).toEqual([{ do: 'dump', dpRank: 0 }]);
    const piece = { $typeName: 'stator.v1.SendDump', dpRank: 0, snapshotPiece: 3 } as const;
    expect(machine.frame({ case: 'sendDump', value: piece })).toEqual([
      { do: 'snapshot', dpRank: 0, piece: 3 },
    ]);
    expect(machine.frame({ case: 'drain', value: { $typeName: 'stator.v1.Drain' } })).toEqual([
      { do: 'drain' },
    ]);
    expect(machine.frame({ case: 'clearKv', value: { $typeName: 'stator.v1.ClearKv' } })).toEqual([
      { do: 'clear-kv' },
    ]);
  });

  test('never dials twice without a wait between, whatever happens', () => {
    const happening = fc.constantFrom<Happening>(
      { kind: 'tick' },
      { kind: 'opened' },
      { kind: 'heard' },
      { kind: 'lost', reason: 'x' },
      { kind: 'frame', frame: create(RouterFrameSchema, { frame: welcome() }) },
      { kind: 'frame', frame: create(RouterFrameSchema, { frame: ack }) },
      { kind: 'frame', frame: create(RouterFrameSchema, { frame: rejected('overloaded') }) },
      { kind: 'turned-away', refusal: upgradeRefusal(503, undefined) },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(happening, fc.nat(3_000)), { maxLength: 40 }), (happenings) => {
        const machine = new Machine();
        let dialing = false;
        for (const [event, passedMs] of happenings) {
          machine.nowMs += passedMs;
          for (const effect of machine.happen(event)) {
            if (effect.do === 'dial') {
              expect(dialing).toBe(false);
              dialing = true;
            }
            if (effect.do === 'retry') dialing = false;
          }
          const wake = wakeAtMs(machine.session, timing);
          expect(wake).not.toBeNull();
          expect(wake! - machine.nowMs).toBeLessThanOrEqual(timing.registerTimeoutMs + 1_000);
        }
      }),
    );
  });
});

test('an upgrade that is refused for its token is permanent, one that fails otherwise is not', () => {
  expect(upgradeRefusal(401, undefined)).toMatchObject({
    permanent: true,
    error: { code: 'invalid_api_key' },
  });
  expect(upgradeRefusal(403, undefined).permanent).toBe(true);
  expect(upgradeRefusal(503, undefined).permanent).toBe(false);
  expect(upgradeRefusal(404, undefined).permanent).toBe(false);
  expect(upgradeRefusal(409, 'card_mismatch').permanent).toBe(true);
  expect(refusal('stale_epoch', 'x').error.code).toBe('stale_epoch');
});
