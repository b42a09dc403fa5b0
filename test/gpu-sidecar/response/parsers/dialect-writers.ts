/**
 * How a model of each family writes a list of calls, from the families' own templates: the counterpart of the parsers,
 * for generated calls. `exact`: arguments come out to the letter; else as the same JSON value.
 */

export interface Call {
  name: string;
  args: Record<string, unknown>;
}

interface Writer {
  write: (calls: readonly Call[]) => string;
  exact: boolean;
  /** Calls may only stand at the start of the answer. */
  bare?: boolean;
  /** Values cannot hold the tag that ends them, nor say whether blanks at their ends are theirs. */
  plainText?: boolean;
}

const json = JSON.stringify;
const object = (call: Call, key = 'arguments') =>
  `{"name": ${json(call.name)}, "${key}": ${json(call.args)}}`;
const list = (calls: readonly Call[]) => `[${calls.map((call) => object(call)).join(', ')}]`;
const each = (calls: readonly Call[], write: (call: Call, index: number) => string, separator = '\n') =>
  calls.map(write).join(separator);
const plain = (value: unknown): string => (typeof value === 'string' ? value : json(value));
const fields = (call: Call, write: (key: string, value: unknown) => string) =>
  Object.entries(call.args)
    .map(([key, value]) => write(key, value))
    .join('');

/** A literal as Python prints it, with the quote that needs fewer escapes. */
function python(value: unknown): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  if (typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([key, item]) => `${python(key)}: ${python(item)}`)
      .join(', ')}}`;
  }
  if (typeof value !== 'string') return String(value);
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\t', '\\t');
  return escaped.includes("'") ? `"${escaped.replaceAll('"', '\\"')}"` : `'${escaped}'`;
}

const deepseek = (call: (call: Call) => string) => (calls: readonly Call[]) =>
  `<｜tool▁calls▁begin｜>${each(calls, (one) => `<｜tool▁call▁begin｜>${call(one)}<｜tool▁call▁end｜>`)}<｜tool▁calls▁end｜>`;

const v3 = deepseek(({ name, args }) => `function<｜tool▁sep｜>${name}\n\`\`\`json\n${json(args)}\n\`\`\``);
const hermes = (calls: readonly Call[]) =>
  each(calls, (call) => `<tool_call>\n${object(call)}\n</tool_call>`);
const tagged = (open: string, close: string) => (calls: readonly Call[]) =>
  each(
    calls,
    (call) =>
      `${open}\n<function=${call.name}>\n${fields(call, (key, value) => `<parameter=${key}>\n${plain(value)}\n</parameter>\n`)}</function>\n${close}`,
  );
const qwen3Coder = tagged('<tool_call>', '</tool_call>');
const glm = (calls: readonly Call[]) =>
  each(
    calls,
    (call) =>
      `<tool_call>${call.name}\n${fields(call, (key, value) => `<arg_key>${key}</arg_key>\n<arg_value>${plain(value)}</arg_value>\n`)}</tool_call>`,
  );
const lines = (calls: readonly Call[]) =>
  `<tool_calls>\n${each(calls, (call) => object(call))}\n</tool_calls>`;

export const WRITERS: Readonly<Record<string, Writer>> = {
  deepseek_r1: { exact: true, write: v3 },
  deepseek_v3: { exact: true, write: v3 },
  deepseek_v3_1: {
    exact: true,
    write: deepseek(({ name, args }) => `${name}<｜tool▁sep｜>${json(args)}`),
  },
  deepseek_v3_2: {
    exact: false,
    plainText: true,
    write: (calls) =>
      `<｜DSML｜function_calls>\n${each(
        calls,
        (call) =>
          `<｜DSML｜invoke name="${call.name}">\n${fields(
            call,
            (key, value) =>
              `<｜DSML｜parameter name="${key}" string="${typeof value === 'string'}">${plain(value)}</｜DSML｜parameter>\n`,
          )}</｜DSML｜invoke>`,
      )}\n</｜DSML｜function_calls>`,
  },
  glm45: { exact: false, plainText: true, write: glm },
  glm47: { exact: false, plainText: true, write: glm },
  granite: { exact: true, write: (calls) => `<|tool_call|>${list(calls)}` },
  harmony: {
    exact: true,
    write: (calls) =>
      each(
        calls,
        ({ name, args }) =>
          `<|start|>assistant<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>${json(args)}<|call|>`,
        '',
      ),
  },
  hermes: { exact: true, write: hermes },
  jamba: { exact: true, write: (calls) => `<tool_calls>${list(calls)}</tool_calls>` },
  kimi_k2: {
    exact: true,
    write: (calls) =>
      `<|tool_calls_section_begin|>${each(
        calls,
        ({ name, args }, index) =>
          `<|tool_call_begin|>functions.${name}:${index}<|tool_call_argument_begin|>${json(args)}<|tool_call_end|>`,
        '',
      )}<|tool_calls_section_end|>`,
  },
  llama3_json: {
    exact: true,
    bare: true,
    write: (calls) => each(calls, (call) => object(call, 'parameters'), '; '),
  },
  minimax: { exact: true, write: lines },
  minimax_m2: {
    exact: false,
    plainText: true,
    write: (calls) =>
      `<minimax:tool_call>\n${each(
        calls,
        (call) =>
          `<invoke name="${call.name}">\n${fields(call, (key, value) => `<parameter name="${key}">${plain(value)}</parameter>\n`)}</invoke>`,
      )}\n</minimax:tool_call>`,
  },
  mistral: {
    exact: true,
    write: (calls) => each(calls, ({ name, args }) => `[TOOL_CALLS]${name}[ARGS]${json(args)}`, ''),
  },
  nemotron_deci: { exact: true, write: (calls) => `<TOOLCALL>${list(calls)}</TOOLCALL>` },
  nemotron_nano: { exact: false, plainText: true, write: qwen3Coder },
  phi4: { exact: true, write: (calls) => `functools${list(calls)}` },
  pythonic: {
    exact: false,
    bare: true,
    write: (calls) =>
      `[${each(
        calls,
        ({ name, args }) =>
          `${name}(${Object.entries(args)
            .map(([key, value]) => `${key}=${python(value)}`)
            .join(', ')})`,
        ', ',
      )}]`,
  },
  qwen3: { exact: true, write: hermes },
  qwen3_coder: { exact: false, plainText: true, write: qwen3Coder },
  seed_oss: { exact: false, plainText: true, write: tagged('<seed:tool_call>', '</seed:tool_call>') },
};
