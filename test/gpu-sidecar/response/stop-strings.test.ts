/** Does the automaton find what a naive search finds, and hold back only what it must? */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StopStrings } from '../../../gpu-sidecar/response/stop-strings.ts';

/** What the class must compute: the first end of a stop string decides, the longest one that ends there is cut off. */
function naive(text: string, stops: readonly string[]): { answer: string; stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const matched = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    if (matched.length === 0) continue;
    const longest = Math.max(...matched.map((stop) => stop.length));
    return { answer: text.slice(0, end - longest), stopped: true };
  }
  return { answer: text, stopped: false };
}

function run(pieces: readonly string[], stops: readonly string[]) {
  const machine = new StopStrings(stops);
  let answer = '';
  for (const piece of pieces) {
    answer += machine.push(piece);
    if (machine.found !== null) return { answer, stopped: true };
  }
  return { answer: answer + machine.flush(), stopped: false };
}

describe('stop strings', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 });

  test('give the same answer as a naive search, however the text is cut', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), fc.array(word, { maxLength: 4 }), (pieces, stops) => {
        expect(run(pieces, stops)).toEqual(naive(pieces.join(''), stops));
      }),
      { numRuns: 2000 },
    );
  });

  test('hold back no more than could become a stop string', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), word, (pieces, stop) => {
        const machine = new StopStrings([stop]);
        let given = '';
        let out = '';
        for (const piece of pieces) {
          given += piece;
          out += machine.push(piece);
          if (machine.found !== null) return;
          const held = given.slice(out.length);
          expect(given.startsWith(out)).toBe(true);
          expect(stop.startsWith(held) && held.length < stop.length).toBe(true);
        }
      }),
    );
  });

  test('a partial match is held back and released when it fails', () => {
    const machine = new StopStrings(['END']);
    expect(machine.push('the E')).toBe('the ');
    expect(machine.push('N')).toBe('');
    expect(machine.push('X')).toBe('ENX');
  });

  test('a stop string over three pieces cuts the answer before it', () => {
    expect(run(['say E', 'N', 'D now'], ['END'])).toEqual({ answer: 'say ', stopped: true });
  });

  test('text that goes by unchecked is never cut', () => {
    const machine = new StopStrings(['ab']);
    expect(machine.push('a')).toBe('');
    expect(machine.pass('b')).toBe('ab');
    expect(machine.found !== null).toBe(false);
  });
});
