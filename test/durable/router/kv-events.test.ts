/** Does the index equal the worker's, whatever the wire loses, doubles or reorders? */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TIER } from '../../../durable/router/blocks.ts';
import { type Ask, type KvChange, KvStream } from '../../../durable/router/kv-events.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { hashes } from './naive-indexes.ts';

const NONE = new Uint8Array(0);
const stored = (block: number): KvChange => ({
  kind: 'stored',
  tier: TIER.device,
  parentHash: NONE,
  blockHashes: hashes(block),
  tokensHashes: hashes(block),
});
const removed = (block: number): KvChange => ({
  kind: 'removed',
  tier: TIER.device,
  blockHashes: hashes(block),
});
const cleared: KvChange = { kind: 'cleared' };

/** The set of blocks that a rank has: all that order and loss can spoil. */
class BlockSet {
  readonly blocks = new Set<string>();

  apply(change: KvChange): void {
    if (change.kind === 'cleared') this.blocks.clear();
    else if (change.kind === 'stored') this.blocks.add(String(change.blockHashes));
    else this.blocks.delete(String(change.blockHashes));
  }
}

function streamed() {
  const set = new BlockSet();
  const asks: Ask[] = [];
  const notes: string[] = [];
  const stream = new KvStream({
    apply: (change) => set.apply(change),
    note: (what) => notes.push(what),
    ask: (ask) => asks.push(ask),
  });
  return { set, asks, notes, stream };
}

/** A stream that is live after an empty dump. */
function live() {
  const all = streamed();
  all.stream.begin(0);
  all.stream.dump({ tier: TIER.device, first: true, last: true, lastEventId: null, stored: [] }, 0);
  all.asks.length = 0;
  return all;
}

describe('a live stream', () => {
  test('applies events in order and ignores stale ones', () => {
    const { stream, set, notes } = live();
    stream.offer(0, stored(1), 0);
    stream.offer(1, stored(2), 0);
    stream.offer(0, removed(1), 0);
    stream.offer(1, removed(2), 0);
    expect(set.blocks.size).toBe(2);
    expect(notes).toEqual(['stale', 'stale']);
  });

  test('asks for a gap once, holds back what is behind it, then goes on', () => {
    const { stream, set, asks } = live();
    stream.offer(0, stored(1), 0);
    stream.offer(3, stored(4), 0);
    stream.offer(4, stored(5), 0);
    expect(asks).toEqual([{ kind: 'resend', fromEventId: 1 }]);
    expect(set.blocks.size).toBe(1);
    expect(stream.buffered).toBe(2);
    stream.offer(1, stored(2), 0);
    stream.offer(2, stored(3), 0);
    expect(set.blocks.size).toBe(5);
    expect(stream.phase).toBe('live');
    expect(stream.buffered).toBe(0);
  });

  test('is exact again after a dump that answers a resend', () => {
    const { stream, set } = live();
    stream.offer(9, stored(9), 0);
    stream.dump(
      { tier: TIER.device, first: true, last: false, lastEventId: null, stored: [stored(1) as never] },
      0,
    );
    stream.dump(
      { tier: TIER.device, first: false, last: true, lastEventId: 8, stored: [stored(2) as never] },
      0,
    );
    expect(set.blocks.size).toBe(3);
    expect(stream.phase).toBe('live');
    expect(stream.lastEventId).toBe(9);
  });

  test('cleared ends any repair at once', () => {
    const { stream, set } = live();
    stream.offer(0, stored(1), 0);
    stream.offer(5, stored(5), 0);
    stream.offer(8, stored(8), 0);
    stream.offer(7, cleared, 0);
    expect(set.blocks).toEqual(new Set([String(hashes(8))]));
    expect(stream.phase).toBe('live');
    expect(stream.lastEventId).toBe(8);
  });
});

describe('a stream that waits for a dump', () => {
  test('buffers events and applies those that the dump does not include', () => {
    const { stream, set, asks } = streamed();
    stream.begin(0);
    expect(asks).toEqual([{ kind: 'dump' }]);
    for (const id of [3, 4, 5, 6]) stream.offer(id, stored(id), 0);
    expect(set.blocks.size).toBe(0);
    stream.dump(
      { tier: TIER.device, first: true, last: true, lastEventId: 4, stored: [stored(4) as never] },
      0,
    );
    expect(set.blocks).toEqual(new Set([4, 5, 6].map((block) => String(hashes(block)))));
    expect(stream.phase).toBe('live');
  });

  test('asks for what is missing between the dump and the buffer', () => {
    const { stream, asks } = streamed();
    stream.begin(0);
    stream.offer(7, stored(7), 0);
    stream.dump({ tier: TIER.device, first: true, last: true, lastEventId: 4, stored: [] }, 0);
    expect(asks.at(-1)).toEqual({ kind: 'resend', fromEventId: 5 });
  });

  test('ignores chunks whose beginning it did not see', () => {
    const { stream, set, notes } = streamed();
    stream.begin(0);
    stream.dump(
      { tier: TIER.device, first: false, last: true, lastEventId: 4, stored: [stored(4) as never] },
      0,
    );
    expect(set.blocks.size).toBe(0);
    expect(notes).toEqual(['dropped']);
    expect(stream.phase).toBe('dump');
  });

  test('holds a bounded number of events and of bytes, and asks for what fell out', () => {
    const { stream, asks } = streamed();
    stream.begin(0);
    for (let id = 0; id < LIMITS.bufferedEvents + 10; id++) stream.offer(id, stored(id), 0);
    expect(stream.buffered).toBe(LIMITS.bufferedEvents);
    stream.dump({ tier: TIER.device, first: true, last: true, lastEventId: 4, stored: [] }, 0);
    expect(asks.at(-1)).toEqual({ kind: 'resend', fromEventId: 5 });
    const big = live();
    const bytes = new Uint8Array(LIMITS.bufferedEventBytes / 4);
    const heavy: KvChange = { kind: 'removed', tier: TIER.device, blockHashes: bytes };
    for (let id = 1; id < 20; id++) big.stream.offer(id, heavy, 0);
    expect(big.stream.buffered).toBe(4);
  });

  test('is not asked for again while its chunks keep coming', () => {
    const { stream, asks } = streamed();
    const chunk = { tier: TIER.device, first: false, last: false, lastEventId: null, stored: [] };
    stream.begin(0);
    for (let i = 0; i < 5; i++) {
      const nowMs = i * (LIMITS.recoveryTimeoutMs - 1);
      stream.tick(nowMs);
      stream.dump({ ...chunk, first: i === 0 }, nowMs);
    }
    expect(asks).toEqual([{ kind: 'dump' }]);
  });

  test('is asked for again when it does not come, and in the end goes on without', () => {
    const { stream, set, asks, notes } = streamed();
    stream.begin(0);
    stream.offer(3, stored(3), 0);
    stream.offer(1, stored(1), 0);
    let nowMs = 0;
    for (let i = 0; i <= LIMITS.recoveryAttempts; i++) {
      nowMs += LIMITS.recoveryTimeoutMs;
      stream.tick(nowMs - 1);
      stream.tick(nowMs);
    }
    expect(asks).toHaveLength(LIMITS.recoveryAttempts);
    expect(notes.at(-1)).toBe('degraded');
    expect(stream).toMatchObject({ phase: 'live', lastEventId: 3 });
    expect(set.blocks.size).toBe(2);
  });
});

describe('a stream on a new socket', () => {
  test('asks for what it may have missed', () => {
    const { stream, asks } = live();
    stream.offer(0, stored(1), 0);
    stream.resume(0);
    expect(asks).toEqual([{ kind: 'resend', fromEventId: 1 }]);
    expect(stream.phase).toBe('live');
  });
});

/** A worker with a ring of its latest events and a wire that drops, doubles and reorders them. */
type Step =
  | { do: 'store' | 'remove'; block: number; wire: 'ok' | 'drop' | 'double' | 'late' }
  | { do: 'clear'; wire: 'ok' | 'drop' }
  | { do: 'tick' };

const RING = 6;
const wire = fc.constantFrom(
  'ok' as const,
  'ok' as const,
  'drop' as const,
  'double' as const,
  'late' as const,
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('store', 'remove'), block: fc.nat(8), wire }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear'), wire: fc.constantFrom('ok', 'drop') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tick') }) },
) as fc.Arbitrary<Step>;

test('whatever the wire loses, doubles or reorders: once it is quiet the index equals the worker’s', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.boolean(), (steps, answersLate) => {
      const worker = new BlockSet();
      const blocks = new Map<string, number>();
      const ring: { id: number; change: KvChange }[] = [];
      const late: { id: number; change: KvChange }[] = [];
      let next = 0;
      let nowMs = 0;
      const { stream, set, asks } = streamed();
      const answer = () => {
        for (let ask = asks.shift(); ask; ask = asks.shift()) {
          const oldest = ring[0]?.id ?? next;
          if (ask.kind === 'resend' && ask.fromEventId >= oldest) {
            const from = ask.fromEventId;
            for (const { id, change } of ring.filter((event) => event.id >= from)) {
              stream.offer(id, change, nowMs);
            }
          } else {
            const dump = [...worker.blocks].map((key) => stored(blocks.get(key)!) as never);
            const lastEventId = next === 0 ? null : next - 1;
            stream.dump(
              { tier: TIER.device, first: true, last: false, lastEventId: null, stored: dump },
              nowMs,
            );
            stream.dump({ tier: TIER.device, first: false, last: true, lastEventId, stored: [] }, nowMs);
          }
        }
      };
      stream.begin(nowMs);
      for (const current of steps) {
        if (current.do === 'tick') {
          nowMs += LIMITS.recoveryTimeoutMs;
          stream.tick(nowMs);
          answer();
          continue;
        }
        const change =
          current.do === 'clear'
            ? cleared
            : current.do === 'store'
              ? stored(current.block)
              : removed(current.block);
        if (current.do !== 'clear') blocks.set(String(hashes(current.block)), current.block);
        const event = { id: next++, change };
        worker.apply(change);
        ring.push(event);
        if (ring.length > RING) ring.shift();
        if (current.wire === 'late') late.push(event);
        else if (current.wire !== 'drop') stream.offer(event.id, change, nowMs);
        if (current.wire === 'double') stream.offer(event.id, change, nowMs);
        if (current.wire === 'ok') for (const old of late.splice(0)) stream.offer(old.id, old.change, nowMs);
        if (!answersLate) answer();
      }
      // The wire is quiet and whole again: one last event shows every gap.
      const end = { id: next++, change: stored(99) };
      blocks.set(String(hashes(99)), 99);
      worker.apply(end.change);
      ring.push(end);
      stream.offer(end.id, end.change, nowMs);
      answer();
      expect(stream.phase).toBe('live');
      expect(stream.buffered).toBe(0);
      expect(set.blocks).toEqual(worker.blocks);
    }),
    { numRuns: 500 },
  );
});
