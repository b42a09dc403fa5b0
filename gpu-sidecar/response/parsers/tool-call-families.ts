/**
 * How each family of models writes calls. A family is data: where calls start, which reader reads them, and which of
 * its markers stand around calls without meaning anything. Names are those of Dynamo and vLLM (`tool_call_parser`).
 */

import { type IsBareCall, isBareJson, isBarePython } from './calls/bare-call.ts';
import type { CallReader, MakeCallReader } from './calls/call-reader.ts';
import { JsonCalls } from './calls/json-calls.ts';
import { MistralCalls } from './calls/mistral-calls.ts';
import { NamedJson } from './calls/named-json.ts';
import { PythonicCalls } from './calls/pythonic-calls.ts';
import { XmlCalls, type XmlShape } from './calls/xml-calls.ts';

export interface ToolCallFamily {
  /** Marker → the reader of what stands behind it. */
  starts: Readonly<Record<string, MakeCallReader>>;
  /** Dropped wherever they stand outside a call. */
  silent: readonly string[];
  /** Calls without a marker at the start of the answer. */
  bare?: { is: IsBareCall; read: () => CallReader };
}

/** JSON calls between two tags; the end tag is looked for only behind broken JSON, else it is silent. */
function jsonBetween(...tags: readonly (readonly [start: string, end: string])[]): ToolCallFamily {
  return {
    starts: Object.fromEntries(tags.map(([start, end]) => [start, () => new JsonCalls([end])])),
    silent: tags.map(([, end]) => end),
  };
}

function xml(start: string, shape: XmlShape, silent: readonly string[]): ToolCallFamily {
  return { starts: { [start]: (tools) => new XmlCalls(shape, tools) }, silent };
}

const DEEPSEEK_CALL_END = '<｜tool▁call▁end｜>';
const deepseek: ToolCallFamily = {
  starts: {
    '<｜tool▁call▁begin｜>': () =>
      new NamedJson({ nameEnds: ['<｜tool▁sep｜>', '\n', '{'], end: DEEPSEEK_CALL_END }),
  },
  silent: ['<｜tool▁calls▁begin｜>', '<｜tool▁calls▁end｜>', DEEPSEEK_CALL_END],
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
    '<|tool_call_begin|>': () =>
      new NamedJson({
        nameEnds: ['<|tool_call_argument_begin|>'],
        end: '<|tool_call_end|>',
        idIsName: true,
      }),
  },
  silent: ['<|tool_calls_section_begin|>', '<|tool_calls_section_end|>', '<|tool_call_end|>'],
};

const llama3Json: ToolCallFamily = {
  starts: {
    '<|python_tag|>': () => new JsonCalls(['<|eom_id|>', '<|eot_id|>']),
    '<function=': () => new NamedJson({ nameEnds: ['>'], end: '</function>' }),
  },
  silent: ['<|eom_id|>', '<|eot_id|>', '</function>'],
  bare: { is: isBareJson, read: () => new JsonCalls(['<|eom_id|>', '<|eot_id|>']) },
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
};

const newPythonic = (): CallReader => new PythonicCalls();
const PYTHONIC_TAGS = [
  ['<|python_start|>', '<|python_end|>'],
  ['<|tool_call_start|>', '<|tool_call_end|>'],
  ['<function_calls>', '</function_calls>'],
] as const;
const pythonic: ToolCallFamily = {
  starts: Object.fromEntries(PYTHONIC_TAGS.map(([start]) => [start, newPythonic])),
  silent: PYTHONIC_TAGS.map(([, end]) => end),
  bare: { is: isBarePython, read: newPythonic },
};

const phi4: ToolCallFamily = {
  starts: {
    'functools[': () => new JsonCalls([], { listed: true }),
    '<|tool_call|>': () => new JsonCalls(['<|/tool_call|>']),
  },
  silent: ['<|/tool_call|>'],
};

const granite: ToolCallFamily = {
  starts: {
    '<|tool_call|>': () => new JsonCalls([]),
    '<function_call>': () => new JsonCalls([]),
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
