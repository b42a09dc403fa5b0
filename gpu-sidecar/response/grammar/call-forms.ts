/**
 * How a forced call is written: for each family whose calls are literal text around JSON arguments. The parsers of
 * `parsers/tool-call-families.ts` read what is written here. Families with XML or Python arguments, and harmony, are not
 * here: their calls cannot be forced.
 */

export interface CallForm {
  /** What stands before the first call, between two, and behind the last. `between` null: one call is all. */
  start: string;
  between: string | null;
  end: string;
  /** What stands before and behind the arguments. */
  before: (name: string) => string;
  after: string;
}

function jsonObject(outside: Omit<CallForm, 'before' | 'after'>, key = 'arguments'): CallForm {
  return {
    ...outside,
    before: (name) => `{"name": ${JSON.stringify(name)}, ${JSON.stringify(key)}: `,
    after: '}',
  };
}

const list = (start: string, end: string): CallForm => jsonObject({ start, between: ', ', end });

const hermes: CallForm = {
  start: '',
  between: '\n',
  end: '',
  before: (name) => `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": `,
  after: '}\n</tool_call>',
};

const deepseek = (before: CallForm['before'], after: string): CallForm => ({
  start: '<｜tool▁calls▁begin｜>',
  between: '',
  end: '<｜tool▁calls▁end｜>',
  before: (name) => `<｜tool▁call▁begin｜>${before(name)}`,
  after: `${after}<｜tool▁call▁end｜>`,
});
const deepseekFenced = deepseek((name) => `function<｜tool▁sep｜>${name}\n\`\`\`json\n`, '\n```');

export const CALL_FORMS: Readonly<Record<string, CallForm>> = {
  deepseek_r1: deepseekFenced,
  deepseek_v3: deepseekFenced,
  deepseek_v3_1: deepseek((name) => `${name}<｜tool▁sep｜>`, ''),
  granite: list('<|tool_call|>[', ']'),
  hermes,
  jamba: list('<tool_calls>[', ']</tool_calls>'),
  kimi_k2: {
    start: '<|tool_calls_section_begin|>',
    between: null,
    end: '<|tool_calls_section_end|>',
    before: (name) => `<|tool_call_begin|>functions.${name}:0<|tool_call_argument_begin|>`,
    after: '<|tool_call_end|>',
  },
  llama3_json: jsonObject({ start: '', between: '; ', end: '' }, 'parameters'),
  minimax: jsonObject({ start: '<tool_calls>\n', between: '\n', end: '\n</tool_calls>' }),
  mistral: list('[TOOL_CALLS][', ']'),
  nemotron_deci: list('<TOOLCALL>[', ']</TOOLCALL>'),
  phi4: list('functools[', ']'),
  qwen3: hermes,
};
