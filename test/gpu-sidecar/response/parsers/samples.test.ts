/** Answers as the families' own documentation and templates show them, with the slips that models make. */

import { describe, expect, it } from 'vitest';
import { type Message, message, type Names, parse } from './message.ts';

type Call = Message['calls'][number];

interface Sample {
  says: string;
  names: Names;
  text: string;
  content?: string;
  reasoning?: string;
  calls?: Call[];
}

const tool = (toolCallParser: string, reasoningParser: string | null = null): Names => ({
  toolCallParser,
  reasoningParser,
});
const weather = (args: string, id?: string): Call => ({
  name: 'get_weather',
  args,
  ...(id === undefined ? {} : { id }),
});

const SAMPLES: Sample[] = [
  {
    says: 'hermes: reasoning, text and two calls',
    names: tool('hermes', 'qwen3'),
    text: '<think>\nWhich city?\n</think>\n\nLet me look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Z\\u00fcrich"}}\n</tool_call>\n<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2.50}}\n</tool_call>',
    reasoning: 'Which city?',
    content: 'Let me look.',
    calls: [weather('{"city": "Z\\u00fcrich"}'), { name: 'add', args: '{"a": 1, "b": 2.50}' }],
  },
  {
    says: 'hermes: arguments before the name, and none at all',
    names: tool('hermes'),
    text: '<tool_call>{"arguments": {"a": 1}, "name": "add"}</tool_call><tool_call>{"name": "now"}</tool_call>',
    calls: [
      { name: 'add', args: '{"a": 1}' },
      { name: 'now', args: '{}' },
    ],
  },
  {
    says: 'hermes: an end tag inside a string is the string’s',
    names: tool('hermes'),
    text: '<tool_call>{"name": "get_weather", "arguments": {"city": "</tool_call>"}}</tool_call>',
    calls: [weather('{"city": "</tool_call>"}')],
  },
  {
    says: 'hermes: what is no JSON is text without its tags',
    names: tool('hermes'),
    text: 'I would <tool_call>call it</tool_call> now',
    content: 'I wouldcall itnow',
  },
  {
    says: 'hermes: broken JSON ends the arguments, the rest of the call is dropped',
    names: tool('hermes'),
    text: '<tool_call>{"name": "add", "arguments": {"a": <1>}}</tool_call> done',
    content: 'done',
    calls: [{ name: 'add', args: '{"a": ' }],
  },
  {
    says: 'hermes: a raw line feed in a string is escaped',
    names: tool('hermes'),
    text: '<tool_call>{"name": "get_weather", "arguments": {"city": "a\nb"}}</tool_call>',
    calls: [weather('{"city": "a\\nb"}')],
  },
  {
    says: 'hermes: arguments that are a string of JSON, inside OpenAI’s wrapper',
    names: tool('hermes'),
    text: '<tool_call>{"type": "function", "function": {"name": "add", "arguments": "{\\"a\\": 1}"}}</tool_call>',
    calls: [{ name: 'add', args: '{"a": 1}' }],
  },
  {
    says: 'qwen3: a call inside the reasoning ends it',
    names: tool('qwen3', 'qwen3'),
    text: '<think>I should call<tool_call>\n{"name": "add", "arguments": {}}\n</tool_call>',
    reasoning: 'I should call',
    calls: [{ name: 'add', args: '{}' }],
  },
  {
    says: 'llama3_json: a bare call',
    names: tool('llama3_json'),
    text: '{"name": "get_weather", "parameters": {"city": "Bern"}}',
    calls: [weather('{"city": "Bern"}')],
  },
  {
    says: 'llama3_json: behind the python tag, two calls',
    names: tool('llama3_json'),
    text: '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Bern"}}; {"name": "add", "parameters": {"a": 1}}<|eom_id|>',
    calls: [weather('{"city": "Bern"}'), { name: 'add', args: '{"a": 1}' }],
  },
  {
    says: 'llama3_json: an answer that is JSON, but no call of a tool',
    names: tool('llama3_json'),
    text: '{"name": "Bern", "parameters": {"people": 134591}}',
    content: '{"name": "Bern", "parameters": {"people": 134591}}',
  },
  {
    says: 'llama3_json: a function tag',
    names: tool('llama3_json'),
    text: '<function=get_weather>{"city": "Bern"}</function>',
    calls: [weather('{"city": "Bern"}')],
  },
  {
    says: 'mistral: the list of the older tokenizers',
    names: tool('mistral'),
    text: '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "a]b"}}, {"id": "123456789", "name": "add", "arguments": {"a": 1}}]',
    calls: [weather('{"city": "a]b"}'), { name: 'add', id: '123456789', args: '{"a": 1}' }],
  },
  {
    says: 'mistral: names and arguments of the newer ones, with and without id',
    names: tool('mistral', 'mistral'),
    text: '[THINK]Hm.[/THINK]Looking.[TOOL_CALLS]get_weather[CALL_ID]abc123xyz[ARGS]{"city": "Bern"}[TOOL_CALLS]add{"a": 1}',
    reasoning: 'Hm.',
    content: 'Looking.',
    calls: [weather('{"city": "Bern"}', 'abc123xyz'), { name: 'add', args: '{"a": 1}' }],
  },
  {
    says: 'pythonic: Python’s literals',
    names: tool('pythonic'),
    text: `[get_weather(city='it\\'s "so"', days=1_000,), add_all(values=[True, None, (1, .5), {'k': 'v', 2: -3}]), add()]`,
    calls: [
      weather('{"city": "it\'s \\"so\\"", "days": 1000}'),
      { name: 'add_all', args: '{"values": [true, null, [1, 0.5], {"k": "v", "2": -3}]}' },
      { name: 'add', args: '{}' },
    ],
  },
  {
    says: 'pythonic: a list that is no call is text',
    names: tool('pythonic'),
    text: '[1, 2, 3] are numbers',
    content: '[1, 2, 3] are numbers',
  },
  {
    says: 'pythonic: between the tags of Llama 4',
    names: tool('pythonic'),
    text: '<|python_start|>[get_weather(city="Bern")]<|python_end|>',
    calls: [weather('{"city": "Bern"}')],
  },
  {
    says: 'qwen3_coder: types come from the schema',
    names: tool('qwen3_coder'),
    text: 'Ok.\n<tool_call>\n<function=get_weather>\n<parameter=city>\n5\n</parameter>\n<parameter=days>\n5\n</parameter>\n<parameter=unit>\nC\n</parameter>\n</function>\n</tool_call>',
    content: 'Ok.',
    calls: [weather('{"city": "5", "days": 5, "unit": "C"}')],
  },
  {
    says: 'qwen3_coder: many lines in a parameter, and a forgotten outer tag',
    names: tool('qwen3_coder'),
    text: '<function=get_weather>\n<parameter=city>\nif a < b:\n  "x"\n\n</parameter>\n</function>\n</tool_call>',
    calls: [weather('{"city": "if a < b:\\n  \\"x\\"\\n"}')],
  },
  {
    says: 'deepseek_v3: a code fence around the arguments',
    names: tool('deepseek_v3', 'deepseek_r1'),
    text: 'Which?\n</think>\n\nLooking.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"city": "Bern"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{"a": 1}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    reasoning: 'Which?',
    content: 'Looking.',
    calls: [weather('{"city": "Bern"}'), { name: 'add', args: '{"a": 1}' }],
  },
  {
    says: 'deepseek_v3_1: name and arguments',
    names: tool('deepseek_v3_1'),
    text: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Bern"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    calls: [weather('{"city": "Bern"}')],
  },
  {
    says: 'deepseek_v3_2: the model says what is a string',
    names: tool('deepseek_v3_2'),
    text: '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">5</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">5</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    calls: [weather('{"city": "5", "days": 5}')],
  },
  {
    says: 'kimi_k2: the id is the model’s',
    names: tool('kimi_k2', 'kimi_k2'),
    text: '<think>Hm.</think>Looking.<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Bern"}<|tool_call_end|><|tool_calls_section_end|>',
    reasoning: 'Hm.',
    content: 'Looking.',
    calls: [weather('{"city": "Bern"}', 'functions.get_weather:0')],
  },
  {
    says: 'glm45: keys and values',
    names: tool('glm45', 'glm45'),
    text: '\n<think>Hm.</think>\nLooking.\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Bern</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>',
    reasoning: 'Hm.',
    content: 'Looking.',
    calls: [weather('{"city": "Bern", "days": 2}')],
  },
  {
    says: 'glm47: all on one line, a call without arguments',
    names: tool('glm47'),
    text: '<tool_call>get_weather<arg_key>city</arg_key><arg_value>Bern</arg_value></tool_call><tool_call>now</tool_call>',
    calls: [weather('{"city": "Bern"}'), { name: 'now', args: '{}' }],
  },
  {
    says: 'phi4: functools',
    names: tool('phi4'),
    text: 'functools[{"name": "get_weather", "arguments": {"city": "Bern"}}]',
    calls: [weather('{"city": "Bern"}')],
  },
  {
    says: 'phi4: the word alone is text',
    names: tool('phi4'),
    text: 'import functools',
    content: 'import functools',
  },
  {
    says: 'granite: a list behind the tag, reasoning in words',
    names: tool('granite', 'granite'),
    text: 'Here is my thought process: hm. Here is my response: Looking. <|tool_call|>[{"name": "get_weather", "arguments": {"city": "Bern"}}]',
    reasoning: 'hm.',
    content: 'Looking.',
    calls: [weather('{"city": "Bern"}')],
  },
  {
    says: 'granite: the tag of the 20B model',
    names: tool('granite'),
    text: '<function_call> {"name": "get_weather", "arguments": {"city": "Bern"}}',
    calls: [weather('{"city": "Bern"}')],
  },
  {
    says: 'minimax: one JSON call a line',
    names: tool('minimax', 'minimax'),
    text: '<think>Hm.</think>\n<tool_calls>\n{"name": "get_weather", "arguments": {"city": "Bern"}}\n{"name": "add", "arguments": {"a": 1}}\n</tool_calls>',
    reasoning: 'Hm.',
    calls: [weather('{"city": "Bern"}'), { name: 'add', args: '{"a": 1}' }],
  },
  {
    says: 'minimax_m2: invoke',
    names: tool('minimax_m2', 'minimax_append_think'),
    text: 'Hm.\n</think>\n\n<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Bern</parameter>\n<parameter name="days">2</parameter>\n</invoke>\n</minimax:tool_call>',
    reasoning: 'Hm.',
    calls: [weather('{"city": "Bern", "days": 2}')],
  },
  {
    says: 'nemotron_deci: a list between tags',
    names: tool('nemotron_deci', 'nemotron_deci'),
    text: '<think>Hm.</think>\n<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Bern"}}]</TOOLCALL>',
    reasoning: 'Hm.',
    calls: [weather('{"city": "Bern"}')],
  },
  {
    says: 'seed_oss: its own tags',
    names: tool('seed_oss', 'seed_oss'),
    text: '<seed:think>Hm.</seed:think><seed:tool_call>\n<function=get_weather>\n<parameter=city>Bern</parameter>\n</function>\n</seed:tool_call>',
    reasoning: 'Hm.',
    calls: [weather('{"city": "Bern"}')],
  },
  {
    says: 'harmony: analysis, preamble, call',
    names: tool('harmony', 'gpt_oss'),
    text: '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>Looking.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city":"Bern"}<|call|>',
    reasoning: 'Hm.',
    content: 'Looking.',
    calls: [weather('{"city":"Bern"}')],
  },
  {
    says: 'harmony: recipient before the channel',
    names: tool('harmony'),
    text: '<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>{"city":"Bern"}<|call|>',
    calls: [weather('{"city":"Bern"}')],
  },
  {
    says: 'harmony: the template opened the final channel',
    names: tool('harmony'),
    text: 'Bern is the capital.<|return|>',
    content: 'Bern is the capital.',
  },
  {
    says: 'deepseek_r1: no opening marker',
    names: { reasoningParser: 'deepseek_r1' },
    text: 'Hm.\n</think>\n\nBern.',
    reasoning: 'Hm.',
    content: 'Bern.',
  },
  {
    says: 'qwen3: the template opened the reasoning',
    names: { reasoningParser: 'qwen3', reasoningOpen: true },
    text: 'Hm.\n</think>\n\nBern.',
    reasoning: 'Hm.',
    content: 'Bern.',
  },
  {
    says: 'qwen3: the template closed the reasoning',
    names: { reasoningParser: 'qwen3', reasoningOpen: false },
    text: 'Bern.',
    content: 'Bern.',
  },
  {
    says: 'kimi: triangles',
    names: { reasoningParser: 'kimi' },
    text: '◁think▷Hm.◁/think▷Bern.',
    reasoning: 'Hm.',
    content: 'Bern.',
  },
];

describe('a sample of', () => {
  it.each(SAMPLES)('$says', ({ names, text, content = '', reasoning = '', calls = [] }) => {
    const expected = { content, reasoning, calls };
    expect(message(parse([text], names))).toEqual(expected);
    expect(message(parse(Array.from(text), names))).toEqual(expected);
  });
});
