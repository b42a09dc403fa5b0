/** The four laws of `parsers/parser.ts`, for each family, with generated calls cut anywhere. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HARMONY_MARKERS } from '../../../../gpu-sidecar/response/parsers/harmony-parser.ts';
import { finishReason } from '../../../../gpu-sidecar/response/parsers/parser.ts';
import { REASONING_FAMILIES } from '../../../../gpu-sidecar/response/parsers/reasoning-families.ts';
import { HARMONY, TOOL_CALL_FAMILIES } from '../../../../gpu-sidecar/response/parsers/tool-call-families.ts';
import { type Call, WRITERS } from './dialect-writers.ts';
import { message, parse } from './message.ts';

/** Text full of what markup is made of, but without a whole marker. */
const nearMarkup = fc
  .array(
    fc.constantFrom(
      '<',
      '</',
      '<|',
      '[',
      ']',
      '{',
      '}',
      '"',
      'tool',
      '_call',
      'a',
      ' ',
      '\n',
      'ü',
      '😀',
      "'",
      '\\',
      '｜',
      ',',
    ),
  )
  .map((pieces) => pieces.join(''));
const anyString = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), nearMarkup);
/** Between tags there is no escape: no blanks at the ends, nothing that reads as another type. */
const plainString = anyString.map((text) => `x${text.replaceAll('</', '')}y`);

const scalars = (text: fc.Arbitrary<string>) =>
  fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    text,
  );

function callsOf(text: fc.Arbitrary<string>): fc.Arbitrary<Call[]> {
  const city = fc.record({ city: text, days: fc.integer() }, { requiredKeys: [] });
  const values = fc.array(
    fc.oneof(
      scalars(text),
      fc.array(scalars(text)),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), scalars(text)),
    ),
  );
  return fc.array(
    fc.oneof(
      city.map((args) => ({ name: 'get_weather', args })),
      fc.record({ values, other: scalars(text) }).map((args) => ({ name: 'add_all', args })),
    ),
    { minLength: 1, maxLength: 3 },
  );
}

const content = fc.stringMatching(/^([A-Za-zäöü][A-Za-z ,.!?äöü]{0,40}[a-z.])?$/);
const cuts = fc.array(fc.nat(), { maxLength: 30 });
const RUNS = { numRuns: 60 };

/** Cut between characters, as the detokeniser does. */
function cut(text: string, places: readonly number[]): string[] {
  const characters = Array.from(text);
  const sorted = [...new Set(places.map((place) => place % (characters.length + 1)))].sort((a, b) => a - b);
  return [0, ...sorted].map((from, index) => characters.slice(from, sorted[index]).join(''));
}

const singles = (text: string) => Array.from(text);

const markersOf = (name: string): readonly string[] => {
  const family = TOOL_CALL_FAMILIES[name]!;
  return family === HARMONY ? HARMONY_MARKERS : [...Object.keys(family.starts), ...family.silent];
};

const reasoningMarkers = (name: string): readonly string[] => {
  const family = REASONING_FAMILIES[name]!;
  return family === HARMONY ? HARMONY_MARKERS : [...family.opens, ...family.closes];
};

it('has a writer for each family of calls', () => {
  expect(Object.keys(WRITERS)).toEqual(Object.keys(TOOL_CALL_FAMILIES));
});

describe.each(Object.keys(TOOL_CALL_FAMILIES))('calls of %s', (name) => {
  const { write, exact, bare, plainText } = WRITERS[name]!;
  const names = { toolCallParser: name, reasoningParser: name === 'harmony' ? 'harmony' : 'qwen3' };
  const calls = callsOf(plainText ? plainString : anyString);
  const answer = fc.tuple(bare ? fc.constant('') : content, calls);

  it('come out as they were written, with the content before them', () => {
    fc.assert(
      fc.property(answer, cuts, ([before, wanted], places) => {
        const read = message(parse(cut(`${before}\n${write(wanted)}`, places), names));
        expect(read.content).toBe(before.trimEnd());
        expect(read.calls.map((call) => call.name)).toEqual(wanted.map((call) => call.name));
        expect(read.calls.map((call) => JSON.parse(call.args))).toEqual(
          wanted.map((call) => JSON.parse(JSON.stringify(call.args))),
        );
        if (exact)
          expect(read.calls.map((call) => call.args)).toEqual(
            wanted.map((call) => JSON.stringify(call.args)),
          );
      }),
      RUNS,
    );
  });

  it('are the same however an answer is cut, whole or broken off', () => {
    const fragments = fc.oneof(
      nearMarkup,
      fc.constantFrom(...markersOf(name), '<think>', '</think>'),
      calls.map(write),
    );
    const text = fc.array(fragments, { maxLength: 6 }).map((all) => all.join(''));
    fc.assert(
      fc.property(text, fc.nat(), cuts, (whole, length, places) => {
        const characters = Array.from(whole);
        const cutOff = characters.slice(0, length % (characters.length + 1)).join('');
        const once = parse([cutOff], names, 'length');
        expect(parse(cut(cutOff, places), names, 'length')).toEqual(once);
        expect(parse(singles(cutOff), names, 'length')).toEqual(once);
      }),
      RUNS,
    );
  });

  it('leave no markup in content or reasoning', () => {
    const fragments = fc.oneof(content, fc.constantFrom(...markersOf(name)), calls.map(write));
    fc.assert(
      fc.property(fc.array(fragments), (all) => {
        for (const part of parse(singles(all.join('')), names)) {
          if (part.kind !== 'content' && part.kind !== 'reasoning') continue;
          expect(markersOf(name).filter((marker) => part.text.includes(marker))).toEqual([]);
        }
      }),
      RUNS,
    );
  });

  it('that break off are a beginning of the whole, and what follows the break is nowhere', () => {
    fc.assert(
      fc.property(answer, fc.nat(), ([before, wanted], length) => {
        const text = `${before}\n${write(wanted)}`;
        const characters = Array.from(text);
        const whole = message(parse([text], names));
        const part = message(
          parse([characters.slice(0, length % characters.length).join('')], names, 'length'),
        );
        expect(part.calls.length).toBeLessThanOrEqual(whole.calls.length);
        part.calls.forEach((call, index) => {
          expect(call.name).toBe(whole.calls[index]!.name);
          expect(whole.calls[index]!.args.startsWith(call.args)).toBe(true);
        });
        const { content: said } = part;
        const markup = said.startsWith(whole.content) ? said.slice(whole.content.length) : '';
        expect(markup.trim().length).toBeLessThanOrEqual(1);
        expect(markup !== '' || whole.content.startsWith(said.trimEnd())).toBe(true);
      }),
      RUNS,
    );
  });
});

describe.each(Object.keys(REASONING_FAMILIES))('reasoning of %s', (name) => {
  const family = REASONING_FAMILIES[name]!;
  const names = { reasoningParser: name };
  const written = (reasoning: string, text: string) =>
    family === HARMONY
      ? `<|channel|>analysis<|message|>${reasoning}<|end|><|start|>assistant<|channel|>final<|message|>${text}<|return|>`
      : `${family.startsOpen ? '' : family.opens[0]}\n${reasoning}\n${family.closes[0]}\n\n${text}`;

  it('is told from content however the answer is cut', () => {
    fc.assert(
      fc.property(content, content, cuts, (reasoning, text, places) => {
        const read = message(parse(cut(written(reasoning, text), places), names));
        expect(read).toEqual({ reasoning, content: text, calls: [] });
      }),
      RUNS,
    );
  });

  it('leaves no marker behind and is the same for any cutting', () => {
    const fragments = fc.oneof(nearMarkup, fc.constantFrom(...reasoningMarkers(name)));
    const text = fc.array(fragments).map((all) => all.join(''));
    fc.assert(
      fc.property(text, cuts, (whole, places) => {
        const once = parse([whole], names);
        expect(parse(cut(whole, places), names)).toEqual(once);
        expect(parse(singles(whole), names)).toEqual(once);
      }),
      RUNS,
    );
  });
});

describe('finish reason', () => {
  it('says tool_calls only for an answer that ended by itself with a call', () => {
    expect(finishReason('stop', 1)).toBe('tool_calls');
    expect(finishReason('stop', 0)).toBe('stop');
    expect(finishReason('length', 1)).toBe('length');
  });
});
