/** Is what the grammar of a forced call lets through read as that call by the family's own parser, with arguments that obey? */

import { create } from '@bufbuild/protobuf';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenMasks } from '../../../../gpu-sidecar/engines/constraint/token-masks.ts';
import { GrammarKind, GrammarSchema } from '../../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { detokenise } from '../../../../gpu-sidecar/response/detokenise.ts';
import type { AnswerForm } from '../../../../gpu-sidecar/response/grammar/answer-form.ts';
import { answerGrammar } from '../../../../gpu-sidecar/response/grammar/answer-grammar.ts';
import { controlIds } from '../../../../gpu-sidecar/response/grammar/control-ids.ts';
import type { ParserOptions, ToolSpec } from '../../../../gpu-sidecar/response/parsers/parser.ts';
import { makeContentParser } from '../../../../gpu-sidecar/response/parsers/registry.ts';
import { TOOL_CALL_FAMILIES } from '../../../../gpu-sidecar/response/parsers/tool-call-families.ts';
import { tokenTexts } from '../../../../gpu-sidecar/response/token-texts.ts';
import { bytesOf, byteVocabulary, vocabularyOf } from '../../../harness/byte-vocabulary.ts';
import { walk } from '../../../harness/grammar-walk.ts';
import { joined, type Message, message } from '../parsers/message.ts';

const FAMILIES = Object.keys(TOOL_CALL_FAMILIES);
const END = 256;
const vocabulary = { ...byteVocabulary, isEndOfGeneration: (id: number) => id === END };
const masks = new TokenMasks(vocabulary);
const ajv = new Ajv2020({ strict: false, formats: { date: /^\d{4}-\d\d-\d\d$/ } });

const grammarOf = (wanted: string, form: Partial<AnswerForm>): string =>
  answerGrammar(create(GrammarSchema, { kind: GrammarKind.TOOL_CALL, text: wanted, param: 'tool_choice' }), {
    toolCallParser: null,
    reasoningParser: null,
    reasoningOpen: undefined,
    tools: [],
    oneToolCall: false,
    controls: new Map(),
    ...form,
  });

/** The reasoning that goes with a family, as far as the laws care. */
const reasoningOf = (family: string): string => (family === 'harmony' ? 'gpt_oss' : 'qwen3');

const optionsOf = (family: string, tools: readonly ToolSpec[]): ParserOptions => ({
  toolCallParser: family,
  reasoningParser: reasoningOf(family),
  tools,
});

function read(pieces: readonly string[], options: ParserOptions): Message {
  const parser = makeContentParser(options)!;
  return message(joined([...pieces.flatMap((piece) => parser.push(piece)), ...parser.end('stop')]));
}

/** Text that tags, messages and Python could take for markup. */
const awkward = fc.constantFrom(
  '',
  'a',
  'a b',
  '5',
  'true',
  '"',
  "it's",
  '\\',
  ' x ',
  '<b>',
  '</',
  '</p',
  'x\ny',
  'ü',
);
const name = fc.stringMatching(/^[a-z][a-z_0-9]{0,6}$/);
const text = fc.oneof(
  fc.tuple(fc.nat(3), fc.nat(8)).map(([minLength, more]) => ({ minLength, maxLength: minLength + more })),
  fc.constantFrom<object>(
    { pattern: '^[a-f<]{2,4}(-\\d+)?$', maxLength: 9 },
    { pattern: 'x/y|^z$', maxLength: 7 },
    { pattern: '^[^/]$|^\\w\\.?$' },
    { format: 'date' },
  ),
  fc.uniqueArray(awkward, { minLength: 1, maxLength: 4 }).map((values) => ({ enum: values })),
  awkward.map((value) => ({ const: value })),
);
const { schema } = fc.letrec<{ schema: object }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    text.map((constraints) => ({ type: 'string', ...constraints })),
    fc.constantFrom<object>(
      { type: 'boolean' },
      { type: 'null' },
      { type: 'integer', minimum: -9, maximum: 1000 },
      { type: 'number', minimum: 0, maximum: 1 },
      { type: ['string', 'null'], maxLength: 4 },
      { $ref: '#/$defs/pair' },
    ),
    fc
      .uniqueArray(fc.oneof(awkward, fc.integer(), fc.boolean()), { minLength: 1, maxLength: 3 })
      .map((values) => ({ enum: values })),
    fc.tuple(tie('schema'), fc.nat(2)).map(([items, maxItems]) => ({ type: 'array', items, maxItems })),
    fc.dictionary(name, tie('schema'), { maxKeys: 2 }).map((properties) => ({
      type: 'object',
      properties,
      required: Object.keys(properties),
    })),
    tie('schema').map((one) => ({ anyOf: [one, { type: 'null' }] })),
  ),
}));
const parameters = fc
  .tuple(fc.dictionary(name, schema, { maxKeys: 4 }), fc.nat(3))
  .map(([properties, optional]) => ({
    type: 'object',
    properties,
    required: Object.keys(properties).filter((_, index) => index !== optional),
    $defs: { pair: { type: 'array', items: { type: 'string', maxLength: 3 }, minItems: 2, maxItems: 2 } },
  }));
const tools = fc
  .array(parameters, { minLength: 1, maxLength: 2 })
  .map((schemas) => schemas.map((each, index) => ({ name: `tool_${index}`, parameters: each })));

const RUNS = { numRuns: 8 };

describe.each(FAMILIES)('forced calls of %s', (family) => {
  it('are read as calls whose arguments obey, whole and in pieces', () => {
    let whole = 0;
    fc.assert(
      fc.property(tools, fc.boolean(), fc.nat(), (given, oneToolCall, seed) => {
        const grammar = grammarOf('', { toolCallParser: family, tools: given, oneToolCall });
        // gpt-oss might go on thinking for ever.
        const begun = family === 'harmony' ? '<|channel|>c' : '';
        const answer = masks.compile(grammar).begin(Uint32Array.from(bytesOf(begun)));
        const walked = walk(answer, vocabulary, { seed, maxTokens: 1_500 });
        if (!walked.whole) return;
        whole++;
        const options = optionsOf(family, given);
        const said = read([begun + walked.text], options);
        expect(read(Array.from(begun + walked.text), options)).toEqual(said);
        expect([said.content, said.reasoning]).toEqual(['', '']);
        expect(said.calls.length).toBeGreaterThan(0);
        if (oneToolCall) expect(said.calls).toHaveLength(1);
        for (const { name: called, args } of said.calls) {
          const { parameters: wanted } = given.find((tool) => tool.name === called)!;
          const valid = ajv.compile(wanted)(JSON.parse(args));
          expect(valid, `${walked.text} under ${JSON.stringify(wanted)}`).toBe(true);
        }
      }),
      RUNS,
    );
    expect(whole).toBeGreaterThan(RUNS.numRuns / 2);
  }, 60_000);

  it('come behind the reasoning that the family may write', () => {
    const given = [
      { name: 'now', parameters: { type: 'object', properties: {}, additionalProperties: false } },
    ];
    const form = { toolCallParser: family, reasoningParser: reasoningOf(family), tools: given };
    const answers = masks.compile(grammarOf('now', form));
    const alone = masks.compile(grammarOf('now', { ...form, reasoningParser: null }));
    const walked = walk(alone.begin(new Uint32Array()), vocabulary, { seed: 1, maxTokens: 500 });
    // gpt-oss might think here, and go on thinking.
    const call =
      family === 'harmony'
        ? '<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}'
        : walked.text;
    const thought =
      family === 'harmony'
        ? '<|channel|>analysis<|message|>So <b>.<|end|><|start|>assistant'
        : '<think>So <b>.</think>\n\n';
    // Throws where the grammar does not let it through.
    const answer = answers.begin(Uint32Array.from(bytesOf(`${thought}${call}`)));
    expect(answer.complete || (answer.allowed()[END >>> 5]! & 1) === 1).toBe(true);
    const said = read([`${thought}${call}`], optionsOf(family, given));
    expect(said).toMatchObject({ content: '', reasoning: 'So <b>.', calls: [{ name: 'now' }] });
    expect(JSON.parse(said.calls[0]!.args)).toEqual({});
    expect(() => answers.begin(Uint32Array.from(bytesOf('Now')))).toThrow();
  });

  it('are written with the control tokens that the vocabulary has for its markup', () => {
    const given = [
      {
        name: 'add',
        parameters: {
          type: 'object',
          properties: { a: { type: 'integer', minimum: 0, maximum: 9 } },
          required: ['a'],
        },
      },
    ];
    const options = optionsOf(family, given);
    const markup = [...spelled(family, options)];
    const tokens = [
      ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
      ...Array.from({ length: markup.length + 1 }, () => new Uint8Array(0)),
    ];
    const written = Object.fromEntries(markup.map((marker, index) => [END + 1 + index, marker]));
    const special = { ...vocabularyOf(tokens, written), isEndOfGeneration: (id: number) => id === END };
    const grammar = grammarOf('add', {
      toolCallParser: family,
      reasoningParser: null,
      tools: given,
      controls: controlIds(special, options),
    });
    const walked = walk(new TokenMasks(special).compile(grammar).begin(new Uint32Array()), special, {
      seed: 3,
      maxTokens: 500,
    });
    expect(walked.whole).toBe(true);
    const texts = tokenTexts(special, options);
    const pieces = [detokenise(texts, Uint32Array.from(walked.tokens))];
    expect(read(pieces, options)).toMatchObject({ content: '', reasoning: '', calls: [{ name: 'add' }] });
    const plain = Buffer.concat(walked.tokens.map((id) => special.tokenBytes(id))).toString();
    for (const marker of markup) expect(plain).not.toContain(marker);
    if (markup.length > 0) expect(walked.tokens.some((id) => id > END)).toBe(true);
  });
});

describe('a tool whose calls cannot be written', () => {
  const object = (properties: object, more: object = {}) => ({
    type: 'object',
    properties,
    required: Object.keys(properties),
    ...more,
  });
  const bad: [string, string, ToolSpec, RegExp][] = [
    ['a choice of shapes', 'qwen3_coder', { name: 'f', parameters: object({}, { anyOf: [] }) }, /'anyOf'/],
    ['no object', 'pythonic', { name: 'f', parameters: { type: 'string' } }, /not of an object/],
    ['a bracket in a name', 'glm45', { name: 'f', parameters: object({ 'a>': {} }) }, /parameter 'a>'/],
    ['a name that Python has not', 'pythonic', { name: 'f', parameters: object({ 'a-b': {} }) }, /'a-b'/],
    ['a blank in its name', 'harmony', { name: 'f g' }, /its name/],
    [
      'a string in an unknown form',
      'seed_oss',
      { name: 'f', parameters: object({ a: { type: 'string', format: 'iri' } }) },
      /'a': the format 'iri'/,
    ],
    [
      'only values that end their tag',
      'deepseek_v3_2',
      { name: 'f', parameters: object({ a: { const: '</｜DSML｜parameter>', type: 'string' } }) },
      /no value of its parameter 'a'/,
    ],
    [
      'a reference to no definition',
      'minimax_m2',
      { name: 'f', parameters: object({ a: { $ref: '#/properties/b' } }) },
      /none of its definitions/,
    ],
  ];

  it.each(bad)('for %s, as %s, is refused by name', (_, toolCallParser, tool, reason) => {
    expect(() => grammarOf('', { toolCallParser, tools: [tool] })).toThrow(
      expect.objectContaining({
        code: 'unsupported_parameter',
        param: 'tool_choice',
        message: expect.stringMatching(reason),
      }),
    );
  });

  it('loses only what is optional', () => {
    const parameters = { ...object({ 'a-b': {}, c: { type: 'integer' } }), required: ['c'] };
    const grammar = grammarOf('', { toolCallParser: 'pythonic', tools: [{ name: 'f', parameters }] });
    expect(() => masks.compile(grammar).begin(Uint32Array.from(bytesOf('[f(c=7)]')))).not.toThrow();
  });
});

/** Markers of the family that look like tokens of their own. */
function spelled(family: string, options: ParserOptions): Set<string> {
  const all = vocabularyOf([], {});
  expect(controlIds(all, options).size).toBe(0);
  const one = grammarOf('', { toolCallParser: family, tools: [{ name: 'x' }] });
  const markers = [
    '<｜tool▁calls▁begin｜>',
    '<｜tool▁sep｜>',
    '<tool_call>',
    '</tool_call>',
    '<|channel|>',
    '<|message|>',
    '<|constrain|>',
    '[TOOL_CALLS]',
    '<|tool_call_begin|>',
    '<|tool_call_argument_begin|>',
    '</parameter>',
    '<arg_key>',
    '</arg_value>',
    '<|tool_call|>',
  ];
  return new Set(markers.filter((marker) => JSON.parse(one).grammars[0].lark_grammar.includes(marker)));
}
