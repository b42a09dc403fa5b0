/**
 * How a forced call is written, for each family: the counterpart of `parsers/tool-call-families.ts`, which reads what is written
 * here. Around the arguments stands literal text; they are JSON, tags, or Python.
 */

import type { TagForm } from './tagged-arguments.ts';

export interface CallForm {
  /** What stands before the first call, between two, and behind the last. `between` null: one call is all. */
  start: string;
  between: string | null;
  end: string;
  /** What stands before and behind the arguments. */
  before: (name: string) => string;
  after: string;
  arguments: /** `without`: a text that no string may hold, since the parser would take it for markup. */
  { kind: 'json'; without?: string } | { kind: 'tags'; form: TagForm } | { kind: 'python' };
}

/** All markup of gpt-oss begins so, and is markup wherever it stands. */
export const HARMONY_MARK = '<|';

const JSON_ARGUMENTS = { kind: 'json' } as const;

type Outside = Pick<CallForm, 'start' | 'between' | 'end'>;

function jsonObject(outside: Outside, key = 'arguments'): CallForm {
  return {
    ...outside,
    before: (name) => `{"name": ${JSON.stringify(name)}, ${JSON.stringify(key)}: `,
    after: '}',
    arguments: JSON_ARGUMENTS,
  };
}

const list = (start: string, end: string): CallForm => jsonObject({ start, between: ', ', end });

const LINES: Outside = { start: '', between: '\n', end: '' };

const hermes: CallForm = {
  ...LINES,
  before: (name) => `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": `,
  after: '}\n</tool_call>',
  arguments: JSON_ARGUMENTS,
};

const deepseek = (before: CallForm['before'], after: string): CallForm => ({
  start: '<｜tool▁calls▁begin｜>',
  between: '',
  end: '<｜tool▁calls▁end｜>',
  before: (name) => `<｜tool▁call▁begin｜>${before(name)}`,
  after: `${after}<｜tool▁call▁end｜>`,
  arguments: JSON_ARGUMENTS,
});
const deepseekFenced = deepseek((name) => `function<｜tool▁sep｜>${name}\n\`\`\`json\n`, '\n```');

const taggedFunction = (tag: string): CallForm => ({
  ...LINES,
  before: (name) => `<${tag}>\n<function=${name}>\n`,
  after: `</function>\n</${tag}>`,
  arguments: {
    kind: 'tags',
    form: {
      open: (name) => `<parameter=${name}>\n`,
      marker: '</parameter>',
      close: '\n</parameter>\n',
      trims: false,
    },
  },
});
const qwen3Coder = taggedFunction('tool_call');

const glm = (lineFeed: '\n' | ''): CallForm => ({
  ...LINES,
  before: (name) => `<tool_call>${name}${lineFeed}`,
  after: '</tool_call>',
  arguments: {
    kind: 'tags',
    form: {
      open: (name) => `<arg_key>${name}</arg_key>${lineFeed}<arg_value>`,
      marker: '</arg_value>',
      close: `</arg_value>${lineFeed}`,
      trims: false,
    },
  },
});

export const CALL_FORMS: Readonly<Record<string, CallForm>> = {
  deepseek_r1: deepseekFenced,
  deepseek_v3: deepseekFenced,
  deepseek_v3_1: deepseek((name) => `${name}<｜tool▁sep｜>`, ''),
  deepseek_v3_2: {
    start: '<｜DSML｜function_calls>\n',
    between: '\n',
    end: '\n</｜DSML｜function_calls>',
    before: (name) => `<｜DSML｜invoke name="${name}">\n`,
    after: '</｜DSML｜invoke>',
    arguments: {
      kind: 'tags',
      form: {
        open: (name, { isString }) => `<｜DSML｜parameter name="${name}" string="${isString}">`,
        marker: '</｜DSML｜parameter>',
        close: '</｜DSML｜parameter>\n',
        trims: false,
      },
    },
  },
  glm45: glm('\n'),
  glm47: glm(''),
  granite: list('<|tool_call|>[', ']'),
  // The template has written `<|start|>assistant`. The model ends with `<|call|>`, so there is one call.
  harmony: {
    start: '',
    between: null,
    end: '',
    before: (name) => `<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>`,
    after: '',
    arguments: { kind: 'json', without: HARMONY_MARK },
  },
  hermes,
  jamba: list('<tool_calls>[', ']</tool_calls>'),
  kimi_k2: {
    start: '<|tool_calls_section_begin|>',
    between: null,
    end: '<|tool_calls_section_end|>',
    before: (name) => `<|tool_call_begin|>functions.${name}:0<|tool_call_argument_begin|>`,
    after: '<|tool_call_end|>',
    arguments: JSON_ARGUMENTS,
  },
  llama3_json: jsonObject({ start: '', between: '; ', end: '' }, 'parameters'),
  minimax: jsonObject({ start: '<tool_calls>\n', between: '\n', end: '\n</tool_calls>' }),
  minimax_m2: {
    start: '<minimax:tool_call>\n',
    between: '\n',
    end: '\n</minimax:tool_call>',
    before: (name) => `<invoke name="${name}">\n`,
    after: '</invoke>',
    arguments: {
      kind: 'tags',
      form: {
        open: (name) => `<parameter name="${name}">`,
        marker: '</parameter>',
        close: '</parameter>\n',
        trims: true,
      },
    },
  },
  mistral: list('[TOOL_CALLS][', ']'),
  nemotron_deci: list('<TOOLCALL>[', ']</TOOLCALL>'),
  nemotron_nano: qwen3Coder,
  phi4: list('functools[', ']'),
  pythonic: {
    start: '[',
    between: ', ',
    end: ']',
    before: (name) => `${name}(`,
    after: ')',
    arguments: { kind: 'python' },
  },
  qwen3: hermes,
  qwen3_coder: qwen3Coder,
  seed_oss: taggedFunction('seed:tool_call'),
};
