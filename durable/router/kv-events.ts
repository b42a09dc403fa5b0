/**
 * One dp rank's stream of KV events into the index (semantics §3.3): in order, once each, with gaps found and repaired.
 *
 * Phases: `live` (everything up to `last` is applied), `resend` (a gap: later events wait in the buffer until the missing
 * ones come), `dump` (the index of this rank is unknown or being replaced; events wait until the dump's last chunk),
 * `restore` (a snapshot is being read; events wait, and those after it have been asked for).
 * Stale and duplicate ids are ignored. The buffer is bounded in events and bytes; what falls out of it is a gap again. A
 * `cleared` is the whole truth and ends any repair. A worker that does not answer is asked again; in the end the stream
 * goes on without the missing events ("degraded") rather than stand still.
 *
 * Stricter than §3.3 where TCP and one connection allow it: ids missing among buffered events are asked for again instead of
 * tolerated, and a dump older than what had been applied is followed by a resend. Asking again waits a fixed time, because
 * a socket either delivers or breaks. A dump replaces the rank chunk by chunk: until its last, matches are too short.
 * Pure: time is an argument, the index a sink, a request to the worker a callback. Cost: a comparison per event.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { Tier } from './blocks.ts';

export type KvChange =
  | {
      kind: 'stored';
      tier: Tier;
      parentHash: Uint8Array;
      blockHashes: Uint8Array;
      tokensHashes: Uint8Array;
    }
  | { kind: 'removed'; tier: Tier; blockHashes: Uint8Array }
  | { kind: 'cleared' };

/** What a dump's chunk brings. `lastEventId` null: the worker had no event yet. */
export interface DumpChunk {
  tier: Tier;
  first: boolean;
  last: boolean;
  lastEventId: number | null;
  stored: readonly { parentHash: Uint8Array; blockHashes: Uint8Array; tokensHashes: Uint8Array }[];
}

/** What the router asks of the worker. `snapshot`: a piece of a dump to keep (`snapshots.ts`). */
export type Ask =
  | { kind: 'dump' }
  | { kind: 'resend'; fromEventId: number }
  | { kind: 'snapshot'; piece: number };

export type KvPhase = 'live' | 'resend' | 'dump' | 'restore';

export interface KvSink {
  apply(change: KvChange): void;
  /** `stale`, `buffered`, `degraded`: what happened to events that were not applied as they came. */
  note(what: 'stale' | 'buffered' | 'dropped' | 'degraded'): void;
  ask(ask: Ask): void;
}

interface Repair {
  phase: Exclude<KvPhase, 'live'>;
  buffer: Map<number, KvChange>;
  bytes: number;
  askedMs: number;
  attempts: number;
  /** A dump's first chunk came and its last did not. */
  replacing: boolean;
}

export class KvStream {
  readonly #sink: KvSink;
  /** Highest event id that the index includes; −1 before the first. */
  #last = -1;
  /** Null while live. */
  #repair: Repair | null = null;

  constructor(sink: KvSink) {
    this.#sink = sink;
  }

  get phase(): KvPhase {
    return this.#repair?.phase ?? 'live';
  }

  get lastEventId(): number {
    return this.#last;
  }

  get buffered(): number {
    return this.#repair?.buffer.size ?? 0;
  }

  /** A worker whose index is unknown has (re)connected: everything is asked for. */
  begin(nowMs: number): void {
    this.#ask('dump', nowMs);
  }

  /** A snapshot that includes everything up to this event is being read: what came after it is asked for meanwhile. */
  beginFrom(lastEventId: number, nowMs: number): void {
    this.#last = lastEventId;
    this.#startRepair('restore', nowMs);
    this.#askResend();
  }

  /** A piece of the snapshot. */
  restore(chunk: DumpChunk): void {
    if (this.#repair?.phase === 'restore') this.#store(chunk);
  }

  /** The snapshot has been read. */
  restored(nowMs: number): void {
    if (this.#repair?.phase === 'restore') this.#resumeAfter(this.#repair, nowMs);
  }

  /** The snapshot cannot be used. */
  refuse(nowMs: number): void {
    if (this.#repair?.phase !== 'restore') return;
    this.#last = -1;
    this.#sink.apply({ kind: 'cleared' });
    this.#ask('dump', nowMs);
  }

  /** The same worker is back on a new socket: what was lost with the old one is asked for. */
  resume(nowMs: number): void {
    const phase = this.#repair?.phase ?? 'live';
    if (phase === 'live' || phase === 'restore') this.#askResend();
    else this.#ask(phase, nowMs);
  }

  offer(eventId: number, change: KvChange, nowMs: number): void {
    if (eventId <= this.#last) this.#sink.note('stale');
    else if (change.kind === 'cleared') this.#restart(eventId, nowMs);
    else if (eventId === this.#last + 1 && this.#applies) this.#next(eventId, change);
    else {
      if (!this.#repair) this.#ask('resend', nowMs);
      this.#keep(this.#repair!, eventId, change);
    }
  }

  /** One chunk of the rank's whole index; chunks whose beginning was not seen are ignored. */
  dump(chunk: DumpChunk, nowMs: number): void {
    if (chunk.first) {
      this.#sink.apply({ kind: 'cleared' });
      this.#startRepair('dump', nowMs).replacing = true;
    }
    const repair = this.#repair;
    if (!repair?.replacing) {
      this.#sink.note('dropped');
      return;
    }
    repair.askedMs = nowMs;
    this.#store(chunk);
    if (!chunk.last) return;
    const applied = this.#last;
    this.#last = chunk.lastEventId ?? -1;
    this.#resumeAfter(repair, nowMs);
    // A dump older than what had been applied: the events in between are missing again.
    if (!this.#repair && applied > this.#last) this.#ask('resend', nowMs);
  }

  /** Asks again when the worker did not answer; gives up after `LIMITS.recoveryAttempts`. */
  tick(nowMs: number): void {
    const repair = this.#repair;
    if (!repair || repair.phase === 'restore' || nowMs - repair.askedMs < LIMITS.recoveryTimeoutMs) return;
    if (repair.attempts < LIMITS.recoveryAttempts) {
      this.#ask(repair.phase, nowMs);
      return;
    }
    this.#sink.note('degraded');
    this.#repair = null;
    const inOrder = [...repair.buffer].sort(([a], [b]) => a - b);
    for (const [id, change] of inOrder) this.#apply(id, change);
  }

  #store({ stored, tier }: DumpChunk): void {
    for (const each of stored) this.#sink.apply({ kind: 'stored', tier, ...each });
  }

  #next(eventId: number, change: KvChange): void {
    this.#apply(eventId, change);
    if (this.#repair) this.#drain(this.#repair);
  }

  #apply(eventId: number, change: KvChange): void {
    this.#last = eventId;
    this.#sink.apply(change);
  }

  /** The rank is empty as of this event. */
  #restart(eventId: number, nowMs: number): void {
    this.#apply(eventId, { kind: 'cleared' });
    if (this.#repair) this.#resumeAfter(this.#repair, nowMs);
  }

  /** The index is exact up to `last` again: goes on with what was buffered since, and asks for what is missing there. */
  #resumeAfter(repair: Repair, nowMs: number): void {
    repair.phase = 'resend';
    repair.replacing = false;
    for (const [id, change] of repair.buffer) if (id <= this.#last) this.#forget(repair, id, change);
    this.#drain(repair);
    if (this.#repair) this.#ask('resend', nowMs);
  }

  /** Applies what follows without a gap; live again when nothing is left. */
  #drain(repair: Repair): void {
    for (;;) {
      const change = repair.buffer.get(this.#last + 1);
      if (!change) break;
      this.#forget(repair, this.#last + 1, change);
      this.#apply(this.#last + 1, change);
    }
    if (repair.buffer.size === 0) this.#repair = null;
  }

  #ask(phase: 'resend' | 'dump', nowMs: number): void {
    const repair = this.#startRepair(phase, nowMs);
    repair.attempts++;
    repair.replacing = false;
    if (phase === 'dump') this.#sink.ask({ kind: 'dump' });
    else this.#askResend();
  }

  #askResend(): void {
    this.#sink.ask({ kind: 'resend', fromEventId: this.#last + 1 });
  }

  /** Enters a phase, or goes over to it with what is buffered. */
  #startRepair(phase: Repair['phase'], nowMs: number): Repair {
    if (!this.#repair) {
      this.#repair = { phase, buffer: new Map(), bytes: 0, askedMs: nowMs, attempts: 0, replacing: false };
    }
    this.#repair.phase = phase;
    this.#repair.askedMs = nowMs;
    return this.#repair;
  }

  /** The index is exact up to `last`. */
  get #applies(): boolean {
    return this.#repair === null || this.#repair.phase === 'resend';
  }

  #keep(repair: Repair, eventId: number, change: KvChange): void {
    if (repair.buffer.has(eventId)) {
      this.#sink.note('stale');
      return;
    }
    const copy = detached(change);
    repair.buffer.set(eventId, copy);
    repair.bytes += sizeBytes(copy);
    this.#sink.note('buffered');
    while (repair.buffer.size > LIMITS.bufferedEvents || repair.bytes > LIMITS.bufferedEventBytes) {
      const [oldest, dropped] = repair.buffer.entries().next().value!;
      this.#forget(repair, oldest, dropped);
      this.#sink.note('dropped');
    }
  }

  #forget(repair: Repair, eventId: number, change: KvChange): void {
    repair.buffer.delete(eventId);
    repair.bytes -= sizeBytes(change);
  }
}

/** A copy that does not keep the whole frame in memory. */
function detached(change: KvChange): KvChange {
  switch (change.kind) {
    case 'stored':
      return {
        kind: 'stored',
        tier: change.tier,
        parentHash: change.parentHash.slice(),
        blockHashes: change.blockHashes.slice(),
        tokensHashes: change.tokensHashes.slice(),
      };
    case 'removed':
      return { kind: 'removed', tier: change.tier, blockHashes: change.blockHashes.slice() };
    case 'cleared':
      return change;
  }
}

function sizeBytes(change: KvChange): number {
  switch (change.kind) {
    case 'stored':
      return change.parentHash.length + change.blockHashes.length + change.tokensHashes.length;
    case 'removed':
      return change.blockHashes.length;
    case 'cleared':
      return 0;
  }
}
