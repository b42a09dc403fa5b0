/**
 * How each family of models writes calls. A family is data: where calls start, which reader reads them, and which of
 * its markers stand around calls without meaning anything. Names are those of Dynamo and vLLM (`tool_call_parser`).
 */

import { type IsBareCall, isBareJson, isBarePython } from './calls/bare-call.ts';
import type { MakeCallReader } from './calls/call-reader.ts';
import { JsonCalls } from './calls/json-calls.ts';
import { MistralCalls } from './calls/mistral-calls.ts';
import { namedJson } from './calls/named-json.ts';
import { PythonicCalls } from './calls/pythonic-calls.ts';
import { type XmlShape, xmlCalls } from './calls/xml-calls.ts';
import { Markers } from './markers.ts';

export interface ToolCallFamily {
  /** Marker → the reader of what stands behind it. */
  starts: Readonly<Record<string, MakeCallReader>>;
  /** Dropped wherever they stand outside a call. */
  silent: readonly string[];
  /** Markers of the readers that are tokens of their own in the vocabularies of the family. */
  inside?: readonly string[];
  /** Calls without a marker at the start of the answer: they begin with `first`. */
  bare?: { first: string; is: IsBareCall; read: MakeCallReader };
}

/** Without end markers a broken call swallows the rest of the answer. */
function jsonCalls(endMarkers: readonly string[], options?: { listed: boolean }): MakeCallReader {
  const end = new Markers(endMarkers);
  return () => new JsonCalls(end, options);
}

/** JSON calls between two tags; the end tag is looked for only behind broken JSON, else it is silent. */
function jsonBetween(...tags: readonly (readonly [start: string, end: string])[]): ToolCallFamily {
  return {
    starts: Object.fromEntries(tags.map(([start, end]) => [start, jsonCalls([end])])),
    silent: tags.map(([, end]) => end),
  };
}

function xml(start: string, shape: XmlShape, silent: readonly string[]): ToolCallFamily {
  const inside = [shape.parameter, shape.keyEnd, shape.valueStart ?? '', shape.valueEnd, shape.end];
  return { starts: { [start]: xmlCalls(shape) }, silent, inside };
}

const DEEPSEEK_CALL_END = '<｜tool▁call▁end｜>';
const deepseek: ToolCallFamily = {
  starts: {
    '<｜tool▁call▁begin｜>': namedJson({ nameEnds: ['<｜tool▁sep｜>', '\n', '{'], end: DEEPSEEK_CALL_END }),
  },
  silent: ['<｜tool▁calls▁begin｜>', '<｜tool▁calls▁end｜>', DEEPSEEK_CALL_END],
  inside: ['<｜tool▁sep｜>'],
};

const deepseekV32 = xml(
  '<｜DSML｜invoke name=',
  {
    nameEnd: '>',
    parameter: '<｜DSML｜parameter name=',
    keyEnd: '>',
    valueStart: null,
    valueEnd: '</｜DSML｜parameter>',
    end: '</｜DSML｜invoke>',
    padded: false,
  },
  ['<｜DSML｜function_calls>', '</｜DSML｜function_calls>', '</｜DSML｜invoke>'],
);

const hermes = jsonBetween(['<tool_call>', '</tool_call>']);

const taggedFunction: XmlShape = {
  nameEnd: '>',
  parameter: '<parameter=',
  keyEnd: '>',
  valueStart: null,
  valueEnd: '</parameter>',
  end: '</function>',
  padded: true,
};
const qwen3Coder = xml('<function=', taggedFunction, ['<tool_call>', '</tool_call>', '</function>']);

const glm45 = xml(
  '<tool_call>',
  {
    nameEnd: '\n',
    parameter: '<arg_key>',
    keyEnd: '</arg_key>',
    valueStart: '<arg_value>',
    valueEnd: '</arg_value>',
    end: '</tool_call>',
    padded: false,
  },
  ['</tool_call>'],
);

const kimiK2: ToolCallFamily = {
  starts: {
    '<|tool_call_begin|>': namedJson({
      nameEnds: ['<|tool_call_argument_begin|>'],
      end: '<|tool_call_end|>',
      idIsName: true,
    }),
  },
  silent: ['<|tool_calls_section_begin|>', '<|tool_calls_section_end|>', '<|tool_call_end|>'],
  inside: ['<|tool_call_argument_begin|>'],
};

const llama3Json: ToolCallFamily = {
  starts: {
    '<|python_tag|>': jsonCalls(['<|eom_id|>', '<|eot_id|>']),
    '<function=': namedJson({ nameEnds: ['>'], end: '</function>' }),
  },
  silent: ['<|eom_id|>', '<|eot_id|>', '</function>'],
  bare: { first: '{', is: isBareJson, read: jsonCalls(['<|eom_id|>', '<|eot_id|>']) },
};

const minimaxM2 = xml(
  '<invoke name=',
  {
    nameEnd: '>',
    parameter: '<parameter name=',
    keyEnd: '>',
    valueStart: null,
    valueEnd: '</parameter>',
    end: '</invoke>',
    padded: true,
  },
  ['<minimax:tool_call>', '</minimax:tool_call>', '</invoke>'],
);

const mistral: ToolCallFamily = {
  starts: { '[TOOL_CALLS]': () => new MistralCalls() },
  silent: ['[/TOOL_CALLS]'],
  inside: ['[ARGS]', '[CALL_ID]'],
};

const newPythonic: MakeCallReader = () => new PythonicCalls();
const PYTHONIC_TAGS = [
  ['<|python_start|>', '<|python_end|>'],
  ['<|tool_call_start|>', '<|tool_call_end|>'],
  ['<function_calls>', '</function_calls>'],
] as const;
const pythonic: ToolCallFamily = {
  starts: Object.fromEntries(PYTHONIC_TAGS.map(([start]) => [start, newPythonic])),
  silent: PYTHONIC_TAGS.map(([, end]) => end),
  bare: { first: '[', is: isBarePython, read: newPythonic },
};

const phi4: ToolCallFamily = {
  starts: {
    'functools[': jsonCalls([], { listed: true }),
    '<|tool_call|>': jsonCalls(['<|/tool_call|>']),
  },
  silent: ['<|/tool_call|>'],
};

const granite: ToolCallFamily = {
  starts: {
    '<|tool_call|>': jsonCalls([]),
    '<function_call>': jsonCalls([]),
    ...hermes.starts,
  },
  silent: hermes.silent,
};

/** Whole answers of this family are read by `HarmonyParser`. */
export const HARMONY = 'harmony';

export const TOOL_CALL_FAMILIES: Readonly<Record<string, ToolCallFamily | typeof HARMONY>> = {
  deepseek_r1: deepseek,
  deepseek_v3: deepseek,
  deepseek_v3_1: deepseek,
  deepseek_v3_2: deepseekV32,
  glm45,
  glm47: glm45,
  granite,
  harmony: HARMONY,
  hermes,
  jamba: jsonBetween(['<tool_calls>', '</tool_calls>']),
  kimi_k2: kimiK2,
  llama3_json: llama3Json,
  minimax: jsonBetween(['<tool_calls>', '</tool_calls>']),
  minimax_m2: minimaxM2,
  mistral,
  nemotron_deci: jsonBetween(['<TOOLCALL>', '</TOOLCALL>']),
  nemotron_nano: qwen3Coder,
  phi4,
  pythonic,
  qwen3: hermes,
  qwen3_coder: qwen3Coder,
  seed_oss: xml('<function=', taggedFunction, ['<seed:tool_call>', '</seed:tool_call>', '</function>']),
};
