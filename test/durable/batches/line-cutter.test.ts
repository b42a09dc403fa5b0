/** Lines and their places are the same however the file was cut into pieces. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CutLine, LineCutter } from '../../../durable/batches/line-cutter.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function cut(pieces: readonly Uint8Array[], most: number): CutLine[] {
  const cutter = new LineCutter(most);
  const lines = pieces.flatMap((piece) => cutter.push(piece));
  const last = cutter.end();
  return last === null ? lines : [...lines, last];
}

test('lines of any text, cut anywhere', () => {
  const text = fc.array(fc.constantFrom('a', 'ü', '\n', '{}', '\r'), { maxLength: 60 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(80), { maxLength: 8 }), (parts, at) => {
      const bytes = encoder.encode(parts.join(''));
      const cuts = [...new Set(at.map((place) => Math.min(place, bytes.length)))].sort((a, b) => a - b);
      const pieces = [0, ...cuts].map((from, i) => bytes.subarray(from, cuts[i] ?? bytes.length));
      const lines = cut(pieces, 1_000);
      const expected = decoder.decode(bytes).split('\n');
      if (expected.at(-1) === '') expected.pop();
      expect(lines.map((line) => decoder.decode(line.bytes!))).toEqual(expected);
      for (const { start, length, bytes: own } of lines)
        expect(bytes.slice(start, start + length)).toEqual(own);
    }),
  );
});

test('a line that is too long is told as such, and the others are not touched', () => {
  const long = `${'x'.repeat(11)}\nb\n`;
  const pieces = [...encoder.encode(`a\n${long}`)].map((byte) => Uint8Array.of(byte));
  expect(cut(pieces, 10).map(({ start, length, bytes }) => [start, length, bytes?.length ?? null])).toEqual([
    [0, 1, 1],
    [2, 11, null],
    [14, 1, 1],
  ]);
});
