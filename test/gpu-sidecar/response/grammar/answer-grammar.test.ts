/** Is what a client asks of an answer's form what the answer has, and what cannot be refused by name? */

import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import { TokenMasks } from '../../../../gpu-sidecar/engines/constraint/token-masks.ts';
import { GrammarKind, GrammarSchema } from '../../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import type { AnswerForm } from '../../../../gpu-sidecar/response/grammar/answer-form.ts';
import { answerGrammar } from '../../../../gpu-sidecar/response/grammar/answer-grammar.ts';
import { CALL_FORMS } from '../../../../gpu-sidecar/response/grammar/call-forms.ts';
import type { ContentPart } from '../../../../gpu-sidecar/response/parsers/parser.ts';
import { makeContentParser } from '../../../../gpu-sidecar/response/parsers/registry.ts';
import { byteVocabulary } from '../../../harness/byte-vocabulary.ts';
import { walk } from '../../../harness/grammar-walk.ts';

const vocabulary = { ...byteVocabulary, isEndOfGeneration: (id: number) => id === 256 };
const masks = new TokenMasks(vocabulary);

const PLAIN: AnswerForm = {
  toolCallParser: null,
  reasoningParser: null,
  reasoningOpen: undefined,
  tools: [],
  oneToolCall: false,
  controls: new Map(),
};
const tools = [
  {
    name: 'weather',
    parameters: {
      type: 'object',
      properties: { city: { enum: ['Ulm', 'Kiel'] } },
      required: ['city'],
      additionalProperties: false,
    },
  },
  { name: 'now', parameters: { type: 'object', properties: {}, additionalProperties: false } },
];

const source = (kind: GrammarKind, text: string, form: Partial<AnswerForm> = {}): string =>
  answerGrammar(create(GrammarSchema, { kind, text, param: 'its name' }), { ...PLAIN, ...form });

/** Could this be the answer? */
function obeys(grammars: string, text: string): boolean {
  try {
    const answer = masks.compile(grammars).begin(Uint32Array.from(Buffer.from(text)));
    const allowed = answer.complete || (answer.allowed()[8]! & 1) === 1;
    answer.free();
    return allowed;
  } catch {
    return false;
  }
}

describe('the form of an answer', () => {
  it('is any JSON object', () => {
    const grammars = source(GrammarKind.JSON_OBJECT, '');
    expect(['{}', '{"a": [1, {"b": null}]}', '{ "x":"y" }'].map((text) => obeys(grammars, text))).toEqual([
      true,
      true,
      true,
    ]);
    expect(['[]', '1', '{"a"}', '', '{} {}'].some((text) => obeys(grammars, text))).toBe(false);
  });

  it('is a JSON schema, which may contain itself', () => {
    const tree = {
      type: 'object',
      properties: { v: { type: 'integer' }, next: { $ref: '#' } },
      required: ['v'],
    };
    const grammars = source(
      GrammarKind.JSON_SCHEMA,
      JSON.stringify({ ...tree, additionalProperties: false }),
    );
    expect(obeys(grammars, '{"v": 1, "next": {"v": 2, "next": {"v": 3}}}')).toBe(true);
    expect(obeys(grammars, '{"v": 1, "next": {}}')).toBe(false);
  });

  it('does not let white space go on for ever', () => {
    const grammars = source(GrammarKind.JSON_OBJECT, '');
    expect(obeys(grammars, `{${' '.repeat(20)}}`)).toBe(true);
    expect(obeys(grammars, `{${' '.repeat(21)}}`)).toBe(false);
  });

  it('is a regular expression, which matches the whole answer', () => {
    for (const text of ['[a-c]+/\\d', '^[a-c]+/\\d$', '^[a-c]+\\/\\d']) {
      const grammars = source(GrammarKind.REGEX, text);
      expect([obeys(grammars, 'abc/1'), obeys(grammars, 'abc/'), obeys(grammars, 'xabc/1')]).toEqual([
        true,
        false,
        false,
      ]);
    }
    expect(obeys(source(GrammarKind.REGEX, 'a\\$'), 'a$')).toBe(true);
    expect(obeys(source(GrammarKind.REGEX, 'a\nb\\\\$'), 'a\nb\\')).toBe(true);
  });

  it('is one of the choices, whatever characters they have', () => {
    const choices = ['yes', 'no "really"', 'a/b\\c', 'zwölf\n', '%{x}'];
    const grammars = source(GrammarKind.CHOICE, JSON.stringify(choices));
    expect(choices.map((choice) => obeys(grammars, choice))).toEqual(choices.map(() => true));
    expect(obeys(grammars, 'ye')).toBe(false);
  });

  it('is a grammar, in Lark or GBNF', () => {
    const lark = source(GrammarKind.CONTEXT_FREE, 'start: "(" start ")" | "x"');
    const gbnf = source(GrammarKind.CONTEXT_FREE, 'root ::= "(" root ")" | "x"');
    for (const grammars of [lark, gbnf]) {
      expect([obeys(grammars, '((x))'), obeys(grammars, '((x)')]).toEqual([true, false]);
    }
  });

  it('comes behind the reasoning that the model may or must write', () => {
    const choice = (form: Partial<AnswerForm>) => source(GrammarKind.CHOICE, '["yes"]', form);
    const may = choice({ reasoningParser: 'qwen3' });
    expect([obeys(may, 'yes'), obeys(may, '<think>so {"a": </think>\n\nyes'), obeys(may, 'so')]).toEqual([
      true,
      true,
      false,
    ]);
    const must = choice({ reasoningParser: 'deepseek_r1' });
    expect([obeys(must, 'so</think>yes'), obeys(must, 'so</think>no')]).toEqual([true, false]);
    expect(obeys(choice({ reasoningParser: 'qwen3', reasoningOpen: true }), 'so</think>yes')).toBe(true);
    expect(obeys(choice({ reasoningParser: 'deepseek_r1', reasoningOpen: false }), 'yes')).toBe(true);
  });
});

describe('forced calls', () => {
  const read = (family: string, text: string): ContentPart[] => {
    const parser = makeContentParser({ toolCallParser: family, reasoningParser: null, tools })!;
    return [...parser.push(text), ...parser.end('stop')];
  };
  const namesOf = (parts: ContentPart[]) =>
    parts.flatMap((part) => (part.kind === 'tool_call' ? [part.name] : []));

  it.each(Object.keys(CALL_FORMS))('of %s are what its parser reads', (toolCallParser) => {
    const named = source(GrammarKind.TOOL_CALL, 'weather', { tools, toolCallParser });
    const { text, whole } = walk(masks.compile(named).begin(new Uint32Array()), vocabulary, {
      seed: 5,
      maxTokens: 800,
    });
    expect(whole).toBe(true);
    const parts = read(toolCallParser, text);
    expect(namesOf(parts)).toEqual(['weather']);
    const written = parts.flatMap((part) => (part.kind === 'tool_arguments' ? [part.text] : [])).join('');
    expect(['Ulm', 'Kiel']).toContain(JSON.parse(written).city);
    expect(parts.filter(({ kind }) => kind === 'content')).toEqual([]);
  });

  it('are of any tool, as many as the request allows', () => {
    const calls = (oneToolCall: boolean) =>
      source(GrammarKind.TOOL_CALL, '', { tools, toolCallParser: 'llama3_json', oneToolCall });
    const two = '{"name": "now", "parameters": {}}; {"name": "weather", "parameters": {"city": "Ulm"}}';
    expect([obeys(calls(false), two), obeys(calls(true), two)]).toEqual([true, false]);
    expect(obeys(calls(true), '{"name": "now", "parameters": {}}')).toBe(true);
    expect(obeys(calls(false), 'no call')).toBe(false);
  });
});

const refused: [string, GrammarKind, string, Partial<AnswerForm>][] = [
  ['a schema that is no JSON', GrammarKind.JSON_SCHEMA, '{', {}],
  ['a schema that is too large', GrammarKind.JSON_SCHEMA, `"${'x'.repeat(LIMITS.grammarBytes)}"`, {}],
  ['no choice', GrammarKind.CHOICE, '[]', {}],
  ['an empty choice', GrammarKind.CHOICE, '["a", ""]', {}],
  ['choices that are no texts', GrammarKind.CHOICE, '[1]', {}],
  [
    'too many choices',
    GrammarKind.CHOICE,
    JSON.stringify(Array.from({ length: LIMITS.grammarChoices + 1 }, (_, i) => `${i}`)),
    {},
  ],
  ['a tool that is not there', GrammarKind.TOOL_CALL, 'other', { tools, toolCallParser: 'hermes' }],
];

it.each(refused)('%s is refused by the name that the client gave it', (_, kind, text, form) => {
  expect(() => source(kind, text, form)).toThrow(
    expect.objectContaining({ code: 'invalid_request', param: 'its name' }),
  );
});

it('of gpt-oss is its last message, in which no string looks like markup', () => {
  const held = source(GrammarKind.JSON_OBJECT, '', { reasoningParser: 'gpt_oss' });
  const last = '<|channel|>final<|message|>';
  const thought = '<|channel|>analysis<|message|>so<|end|><|start|>assistant';
  expect([`${last}{"a": "<b>"}`, `${thought}${last}{}`].map((text) => obeys(held, text))).toEqual([
    true,
    true,
  ]);
  expect(['{}', `${last}{"a": "<|end|>"}`, `${thought}{}`].some((text) => obeys(held, text))).toBe(false);
});
