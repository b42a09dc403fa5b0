/** Which control tokens are text: those that the parser of the answer reads, where a vocabulary has its markup as tokens. */

import { expect, test } from 'vitest';
import { detokenise } from '../../../gpu-sidecar/response/detokenise.ts';
import { makeContentParser } from '../../../gpu-sidecar/response/parsers/registry.ts';
import { TOOL_CALL_FAMILIES } from '../../../gpu-sidecar/response/parsers/tool-call-families.ts';
import { tokenTexts } from '../../../gpu-sidecar/response/token-texts.ts';
import { bytesOf, vocabularyOf } from '../../harness/byte-vocabulary.ts';

const NOTHING = new Uint8Array(0);

/** A vocabulary of these texts in turn, control tokens where they stand in brackets, and the ids that spell them. */
function written(...texts: (string | [control: string])[]) {
  const tokens = texts.map((text) => (typeof text === 'string' ? bytesOf(text) : NOTHING));
  const controls = texts.map((text, id) => [id, typeof text === 'string' ? '' : text[0]]);
  return {
    vocabulary: vocabularyOf(tokens, Object.fromEntries(controls)),
    ids: Uint32Array.from(texts.keys()),
  };
}

function partsOf(toolCallParser: string, ...texts: (string | [string])[]) {
  const { vocabulary, ids } = written(...texts);
  const parsing = { toolCallParser, reasoningParser: null, tools: [{ name: 'f' }] };
  const parser = makeContentParser(parsing)!;
  return [...parser.push(detokenise(tokenTexts(vocabulary, parsing), ids)), ...parser.end('stop')];
}

const CALL = [
  { kind: 'tool_call', index: 0, name: 'f' },
  { kind: 'tool_arguments', index: 0, text: '{"a":1}' },
];

test('calls whose markup are control tokens are calls', () => {
  const mistral = partsOf('mistral', ['[TOOL_CALLS]'], 'f', ['[ARGS]'], '{"a":1}');
  const deepseek = partsOf(
    'deepseek_v3_1',
    ['<｜tool▁calls▁begin｜>'],
    ['<｜tool▁call▁begin｜>'],
    'f',
    ['<｜tool▁sep｜>'],
    '{"a":1}',
    ['<｜tool▁call▁end｜>'],
    ['<｜tool▁calls▁end｜>'],
  );
  const harmony = partsOf(
    'harmony',
    ['<|channel|>'],
    'commentary to=functions.f ',
    ['<|constrain|>'],
    'json',
    ['<|message|>'],
    '{"a":1}',
    ['<|call|>'],
  );
  expect([mistral, deepseek, harmony]).toEqual([CALL, CALL, CALL]);
});

test('a control token may be a piece of a marker', () => {
  const text = ['<', ['｜DSML｜'], 'invoke name="f">', '</', ['｜DSML｜'], 'invoke>'] as const;
  expect(partsOf('deepseek_v3_2', ...(text as unknown as string[]))[0]).toMatchObject({ name: 'f' });
});

test('other control tokens are no text, and without a parser none is', () => {
  const { vocabulary, ids } = written('a', ['<|reserved|>'], ['[TOOL_CALLS]'], 'b');
  expect(detokenise(tokenTexts(vocabulary, null), ids)).toBe('ab');
  for (const toolCallParser of Object.keys(TOOL_CALL_FAMILIES)) {
    const parsing = { toolCallParser, reasoningParser: null, tools: [] };
    const marked = toolCallParser === 'mistral' ? '[TOOL_CALLS]' : '';
    expect(detokenise(tokenTexts(vocabulary, parsing), ids)).toBe(`a${marked}b`);
  }
});
