/**
 * The fleet socket's state as a value, and what each happening makes of it. Pure: time and chance are arguments,
 * the shell (`client.ts`) does what the effects say.
 *
 *     waiting      no socket; the next try is at `untilMs`
 *     dialing      the upgrade is under way
 *     registering  the socket is open, Register is sent, the router has not answered
 *     live         the router answered Welcome
 *     refused      the router will never take this worker; the end
 *     closed       we left; the end
 */

import { LIMITS } from '../../durable/runtime/limits.ts';
import type { RouterFrame } from '../proto/gen/stator/v1/fleet_pb.js';
import { type Refusal, refusal } from './refusal.ts';

export type Session =
  | { name: 'waiting'; attempt: number; untilMs: number }
  | { name: 'dialing'; attempt: number; sinceMs: number }
  | { name: 'registering'; attempt: number; sinceMs: number }
  | { name: 'live'; heartbeatMs: number; heartbeatAtMs: number; heardAtMs: number }
  | { name: 'refused' }
  | { name: 'closed' };

export type Happening =
  | { kind: 'tick' }
  | { kind: 'opened' }
  | { kind: 'heard' }
  | { kind: 'frame'; frame: RouterFrame }
  | { kind: 'lost'; reason: string }
  | { kind: 'turned-away'; refusal: Refusal }
  | { kind: 'leave' };

export type Effect =
  | { do: 'dial' }
  | { do: 'register' }
  /** In order: the lease ends now. Otherwise the router takes it for a broken line and keeps what it knows. */
  | { do: 'hang-up'; inOrder: boolean }
  | { do: 'heartbeat' }
  | { do: 'welcomed'; routerBoot: number; wantsPasses: boolean }
  | { do: 'retry'; inMs: number; reason: string }
  | { do: 'resend'; dpRank: number; fromEventId: number }
  | { do: 'dump'; dpRank: number }
  | { do: 'snapshot'; dpRank: number; piece: number }
  | { do: 'drain' }
  | { do: 'clear-kv' }
  | { do: 'give-up'; refusal: Refusal };

export interface SessionTiming {
  reconnectMinMs: number;
  reconnectMaxMs: number;
  registerTimeoutMs: number;
}

export interface Moment {
  nowMs: number;
  /** 0 ≤ random < 1: spreads the retries of a fleet. */
  random: number;
}

export const newSession = (nowMs: number): Session => ({ name: 'waiting', attempt: 0, untilMs: nowMs });

export function step(
  session: Session,
  happening: Happening,
  moment: Moment,
  timing: SessionTiming,
): [Session, Effect[]] {
  if (session.name === 'refused' || session.name === 'closed') return [session, []];
  switch (happening.kind) {
    case 'leave':
      return [{ name: 'closed' }, [{ do: 'hang-up', inOrder: true }]];
    case 'tick':
      return tick(session, moment, timing);
    case 'opened':
      if (session.name !== 'dialing') return [session, []];
      return [{ ...session, name: 'registering', sinceMs: moment.nowMs }, [{ do: 'register' }]];
    case 'heard':
      return [session.name === 'live' ? { ...session, heardAtMs: moment.nowMs } : session, []];
    case 'frame':
      return receive(session, happening.frame, moment, timing);
    case 'lost':
      return session.name === 'waiting' ? [session, []] : retry(session, happening.reason, moment, timing);
    case 'turned-away':
      return turnedAway(session, happening.refusal, moment, timing);
  }
}

/** When the next `tick` is due; null when time changes nothing any more. */
export function wakeAtMs(session: Session, timing: SessionTiming): number | null {
  switch (session.name) {
    case 'waiting':
      return session.untilMs;
    case 'dialing':
    case 'registering':
      return session.sinceMs + timing.registerTimeoutMs;
    case 'live':
      return Math.min(session.heartbeatAtMs, deadAtMs(session));
    default:
      return null;
  }
}

type Active = Exclude<Session, { name: 'refused' | 'closed' }>;
type Live = Extract<Session, { name: 'live' }>;

const deadAtMs = (session: Live): number => session.heardAtMs + LIMITS.silentHeartbeats * session.heartbeatMs;

function tick(session: Active, moment: Moment, timing: SessionTiming): [Session, Effect[]] {
  const due = wakeAtMs(session, timing);
  if (due === null || moment.nowMs < due) return [session, []];
  switch (session.name) {
    case 'waiting':
      return [{ name: 'dialing', attempt: session.attempt, sinceMs: moment.nowMs }, [{ do: 'dial' }]];
    case 'dialing':
    case 'registering':
      return hangUp(session, 'the router did not answer in time', moment, timing);
    case 'live':
      if (moment.nowMs >= deadAtMs(session)) return hangUp(session, 'the router is silent', moment, timing);
      return [{ ...session, heartbeatAtMs: moment.nowMs + session.heartbeatMs }, [{ do: 'heartbeat' }]];
  }
}

function receive(
  session: Active,
  { frame }: RouterFrame,
  moment: Moment,
  timing: SessionTiming,
): [Session, Effect[]] {
  if (frame.case === 'rejected') {
    return turnedAway(session, refusal(frame.value.code, frame.value.message), moment, timing);
  }
  if (session.name === 'registering') {
    if (frame.case !== 'welcome') return [session, []];
    const { routerBoot, heartbeatMs, wantsPasses } = frame.value;
    const live: Live = {
      name: 'live',
      heartbeatMs,
      heartbeatAtMs: moment.nowMs + heartbeatMs,
      heardAtMs: moment.nowMs,
    };
    return [live, [{ do: 'welcomed', routerBoot, wantsPasses }]];
  }
  if (session.name !== 'live') return [session, []];
  return [{ ...session, heardAtMs: moment.nowMs }, commands(frame)];
}

function commands(frame: RouterFrame['frame']): Effect[] {
  switch (frame.case) {
    case 'resend':
      return [{ do: 'resend', dpRank: frame.value.dpRank, fromEventId: Number(frame.value.fromEventId) }];
    case 'sendDump': {
      const { dpRank, snapshotPiece } = frame.value;
      if (snapshotPiece === undefined) return [{ do: 'dump', dpRank }];
      return [{ do: 'snapshot', dpRank, piece: snapshotPiece }];
    }
    case 'drain':
      return [{ do: 'drain' }];
    case 'clearKv':
      return [{ do: 'clear-kv' }];
    default:
      return [];
  }
}

function turnedAway(
  session: Active,
  refused: Refusal,
  moment: Moment,
  timing: SessionTiming,
): [Session, Effect[]] {
  if (!refused.permanent) return hangUp(session, refused.error.message, moment, timing);
  return [
    { name: 'refused' },
    [
      { do: 'hang-up', inOrder: true },
      { do: 'give-up', refusal: refused },
    ],
  ];
}

function hangUp(session: Active, reason: string, moment: Moment, timing: SessionTiming): [Session, Effect[]] {
  const [next, effects] = retry(session, reason, moment, timing);
  return [next, [{ do: 'hang-up', inOrder: false }, ...effects]];
}

/** Waits half as long again after each try in a row, less up to a quarter: a late router is found in half its lateness. */
function retry(session: Active, reason: string, moment: Moment, timing: SessionTiming): [Session, Effect[]] {
  const attempt = session.name === 'live' ? 0 : session.attempt;
  const fullMs = Math.min(timing.reconnectMaxMs, timing.reconnectMinMs * 1.5 ** Math.min(attempt, 64));
  const inMs = fullMs * (1 - moment.random / 4);
  return [
    { name: 'waiting', attempt: attempt + 1, untilMs: moment.nowMs + inMs },
    [{ do: 'retry', inMs, reason }],
  ];
}
