/** What kept bytes say about where a stream broke, for every cut. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatEventId } from '../../../durable/runtime/event-id.ts';
import { KeptEvents } from '../../../functions/dispatch/event-ids.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const event = (index: number, ids: number[], data: string) => `${formatEventId(index, ids)}data: ${data}\n\n`;
const packed = (ids: number[]) => new Uint8Array(Uint32Array.from(ids).buffer);

const STREAM = [
  ': keep-alive\n\n',
  event(0, [], '{"delta":{"role":"assistant"}}'),
  event(1, [17], '{"delta":{"content":"Grüße"}}'),
  event(2, [18, 19, 0xffff_ffff], '{"delta":{"content":"👋"}}'),
  event(3, [], '{"finish_reason":"stop"}'),
  event(4, [], '[DONE]'),
].map(bytes);
const IDS = [[], [], [17], [18, 19, 0xffff_ffff], [], []];

function concat(parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

test('a stream cut at every byte gives the ids of the complete events and the piece behind them', () => {
  const whole = concat(STREAM);
  for (let cut = 0; cut <= whole.length; cut++) {
    let complete = 0;
    let at = 0;
    while (complete < STREAM.length && at + STREAM[complete]!.length <= cut) at += STREAM[complete++]!.length;
    const kept = new KeptEvents();
    kept.push(whole.slice(0, cut));
    const events = Math.max(complete - 1, 0);
    const partialEvent = whole.slice(at, cut);
    expect(kept.end()).toBe(complete === STREAM.length ? 'done' : 'open');
    expect(kept.resumeState(3)).toEqual(
      events === 0 && cut === at
        ? null
        : { tokenIds: packed(IDS.slice(0, complete).flat()), partialEvent, events, cachedTokens: 3 },
    );
  }
});

test('how the bytes were portioned makes no difference', () => {
  const whole = concat(STREAM);
  fc.assert(
    fc.property(fc.array(fc.nat(whole.length), { maxLength: 20 }), (cuts) => {
      const kept = new KeptEvents();
      let from = 0;
      for (const to of [...cuts.toSorted((a, b) => a - b), whole.length]) {
        kept.push(whole.slice(from, to));
        from = to;
      }
      expect(kept.end()).toBe('done');
      expect(kept.resumeState(null)).toEqual({
        tokenIds: packed(IDS.flat()),
        partialEvent: new Uint8Array(),
        events: 5,
        cachedTokens: null,
      });
    }),
  );
});

test('thousands of tokens are kept in order, boiled down on the way', () => {
  const kept = new KeptEvents();
  const ids = Array.from({ length: 5000 }, (_, index) => index * 7);
  ids.forEach((id, index) => {
    kept.push(bytes(event(index, [id], '{"text":"some sixty bytes of an answer, as a chunk has them"}')));
  });
  expect(kept.resumeState(null)?.tokenIds).toEqual(packed(ids));
});

test("an event without an id is the worker's error and ends the stream", () => {
  const kept = new KeptEvents();
  kept.push(bytes(event(0, [1], '{}') + 'data: {"error":{"code":"engine_error"}}\n\n'));
  expect(kept.end()).toBe('failed');
});

test.each(['id: 5:1\ndata: {}\n\n', 'id: x\ndata: {}\n\n', 'hello\n\n', 'id: 0:1\n\nid: 0:1\n\n'])(
  'a stream of another grammar is not continued: %j',
  (text) => {
    const kept = new KeptEvents();
    kept.push(bytes(text));
    expect(kept.end()).toBe('damaged');
  },
);
