/** Do masks let through exactly what a grammar allows, whatever the grammar, and does a bad one do no harm? */

import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allowedAt, countAllowed, isAllowed } from '../../../../gpu-sidecar/engines/constraint/constraint.ts';
import { TokenMasks } from '../../../../gpu-sidecar/engines/constraint/token-masks.ts';
import { readTokenTable } from '../../../../gpu-sidecar/engines/token-table.ts';
import { byteVocabulary } from '../../../harness/byte-vocabulary.ts';
import { walk } from '../../../harness/grammar-walk.ts';

const path = 'gpu-sidecar/models/tiny/tokenizer.json';
const vocabulary = readTokenTable(readFileSync(path), { path, eosTokens: ['<|im_end|>', '<|endoftext|>'] });
const masks = new TokenMasks(vocabulary);
const NONE = new Uint32Array(0);

const lark = (text: string): string => JSON.stringify({ grammars: [{ lark_grammar: text }] });
const ofSchema = (schema: object): string =>
  JSON.stringify({
    grammars: [{ json_schema: { ...schema, 'x-guidance': { whitespace_pattern: '[ \\n]{1,4}' } } }],
  });
const encode = (text: string): number[] =>
  [...Buffer.from(text)].map((byte) => {
    for (let id = 0; id < vocabulary.size; id++) {
      const bytes = vocabulary.tokenBytes(id);
      if (bytes.length === 1 && bytes[0] === byte) return id;
    }
    throw new Error(`no token for byte ${byte}`);
  });

/** Not every double: numbers of an enum are written out without an exponent, to about 190 places. */
const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.integer(), { maxLength: 2 }));
const name = fc.constantFrom('a', 'b', 'name', 'größe', 'x y');
const { schema: schemas } = fc.letrec<{ schema: object }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<object>({ type: 'boolean' }, { type: 'null' }, { type: 'number' }, { const: 'ü"\\' }),
    fc
      .tuple(fc.integer({ min: -50, max: 50 }), fc.nat(900))
      .map(([minimum, span]) => ({ type: 'integer', minimum, maximum: minimum + span })),
    fc
      .tuple(fc.nat(3), fc.nat(12))
      .map(([minLength, more]) => ({ type: 'string', minLength, maxLength: minLength + more })),
    fc.constantFrom<object>(
      { type: 'string', pattern: '^[a-f]{2,4}(-[0-9]+)?$' },
      { type: 'string', format: 'date' },
    ),
    fc.uniqueArray(value, { minLength: 1, maxLength: 3 }).map((values) => ({ enum: values })),
    fc.tuple(tie('schema'), fc.nat(2), fc.nat(2)).map(([items, minItems, more]) => ({
      type: 'array',
      items,
      minItems,
      maxItems: minItems + more,
    })),
    fc.tuple(fc.dictionary(name, tie('schema'), { maxKeys: 3 }), fc.boolean()).map(([properties, all]) => ({
      type: 'object',
      properties,
      required: all ? Object.keys(properties) : Object.keys(properties).slice(0, 1),
      additionalProperties: false,
    })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
  ),
}));

describe('masks', () => {
  it('give answers that validate under any schema', () => {
    const ajv = new Ajv2020({ strict: false, formats: { date: /^\d{4}-\d\d-\d\d$/ } });
    let whole = 0;
    fc.assert(
      fc.property(schemas, fc.nat(), (schema, seed) => {
        const answer = masks.compile(ofSchema(schema)).begin(NONE);
        const walked = walk(answer, vocabulary, { seed, maxTokens: 250 });
        answer.free();
        if (!walked.whole) return;
        whole++;
        const valid = ajv.compile(schema);
        expect(valid(JSON.parse(walked.text)), `${walked.text} under ${JSON.stringify(schema)}`).toBe(true);
      }),
      { numRuns: 80 },
    );
    expect(whole).toBeGreaterThan(60);
  }, 60_000);

  it('are the same for an answer that is begun with its first tokens', () => {
    const compiled = masks.compile(ofSchema({ type: 'object', properties: { a: { type: 'string' } } }));
    const first = compiled.begin(NONE);
    const { tokens } = walk(first, vocabulary, { seed: 3, maxTokens: 30 });
    for (let cut = 0; cut < tokens.length; cut++) {
      const whole = compiled.begin(Uint32Array.from(tokens.slice(0, cut)));
      const steps = compiled.begin(NONE);
      for (const id of tokens.slice(0, cut)) steps.push(id);
      expect(Uint32Array.from(whole.allowed()), `cut at ${cut}`).toEqual(Uint32Array.from(steps.allowed()));
      whole.free();
      steps.free();
    }
    first.free();
  });

  it('allow the end where the answer may end, and say when nothing can follow', () => {
    const answer = masks.compile(lark('start: "a" /b*/ | "c"')).begin(Uint32Array.from(encode('a')));
    const end = [...Array(vocabulary.size).keys()].find((id) => vocabulary.isEndOfGeneration(id))!;
    expect(isAllowed(answer.allowed(), end)).toBe(true);
    expect(answer.complete).toBe(false);
    const other = masks.compile(lark('start: "a" /b*/ | "c"')).begin(Uint32Array.from(encode('c')));
    expect(other.complete).toBe(true);
  });

  it('count and number the allowed ids', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(199), { minLength: 1 }), (ids) => {
        const words = new Uint32Array(7);
        for (const id of ids) words[id >>> 5]! |= 1 << (id & 31);
        const sorted = [...ids].sort((a, b) => a - b);
        expect(countAllowed(words)).toBe(ids.length);
        expect(sorted.map((_, place) => allowedAt(words, place))).toEqual(sorted);
        expect(() => allowedAt(words, ids.length)).toThrow(RangeError);
      }),
    );
  });
});

describe('a bad grammar', () => {
  const bad: [string, string, RegExp][] = [
    ['of an unknown rule', lark('start: foo'), /unknown name/],
    ['with a broken expression', lark('start: /(/'), /unclosed group/],
    ['with a back reference', lark('start: /(a)\\1/'), /backreferences/],
    ['that is empty', lark(''), /no start rule/],
    [
      'that allows nothing',
      ofSchema({ $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } }),
      /NoExtension/,
    ],
    ['with a keyword that cannot be enforced', ofSchema({ not: { type: 'string' } }), /Unimplemented keys/],
    ['that contradicts itself', ofSchema({ type: 'string', enum: [1] }), /Unsatisfiable/],
    ['that multiplies out of reason', ofSchema(product(8, 10)), /too large/],
    ['that nests beyond the stack', lark(chain(6_000)), /too deeply/],
    ['that is no JSON', '{', /EOF/],
  ];
  it.each(bad)('%s is refused with the reason', (_, grammars, reason) => {
    expect(() => masks.compile(grammars)).toThrow(reason);
    expect(() => masks.compile(lark('start: "a"'))).not.toThrow();
  });

  it('that breaks the instance leaves answers under way as they were', () => {
    const other = new TokenMasks({ ...byteVocabulary, isEndOfGeneration: (id) => id === 256 });
    const grammars = ofSchema({ type: 'object', properties: { a: { type: 'string' } }, required: ['a'] });
    const answers = [masks, other].map((each) => each.compile(grammars).begin(NONE));
    const open = encode('{"a');
    for (const id of open) answers[0]!.push(id);
    for (const byte of Buffer.from('{"a')) answers[1]!.push(byte);
    const before = answers.map((each) => Uint32Array.from(each.allowed()));
    expect(() => other.compile(lark(chain(6_000)))).toThrow(/too deeply/);
    expect(answers.map((each) => Uint32Array.from(each.allowed()))).toEqual(before);
    answers[1]!.push(0x22);
    for (const each of answers) each.free();
  });

  it('that a continued answer does not obey is refused', () => {
    const constraint = masks.compile(lark('start: "abc"'));
    expect(() => constraint.begin(Uint32Array.from(encode('ax')))).toThrow(
      expect.objectContaining({ code: 'invalid_request', param: 'resume.token_ids' }),
    );
  });

  it('that costs too much on its way ends the answer with the reason', () => {
    const constraint = masks.compile(
      ofSchema({ type: 'string', pattern: '^(([a-z]{1,100}){1,100}){1,100}$' }),
    );
    const answer = constraint.begin(NONE);
    expect(() => walk(answer, vocabulary, { seed: 1, maxTokens: 400 })).toThrow(
      expect.objectContaining({ code: 'engine_error', message: expect.stringContaining('cannot go on') }),
    );
    answer.free();
  });
});

/** `all` of `each` alternatives with a property of their own. */
function product(all: number, each: number): object {
  const options = (j: number) =>
    Array.from({ length: each }, (_, i) => ({
      properties: { [`a${j}`]: { const: i } },
      required: [`a${j}`],
    }));
  return { type: 'object', allOf: Array.from({ length: all }, (_, j) => ({ anyOf: options(j) })) };
}

function chain(rules: number): string {
  const links = Array.from({ length: rules }, (_, i) => `r${i}: r${i + 1}`);
  return ['start: r0', ...links, `r${rules}: "a"`].join('\n');
}
