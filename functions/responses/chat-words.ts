/**
 * The part of a Responses body that chat completions have in other words: tools and the form of the answer are said
 * in chat's, so that they mean the same, and what is wrong with them is said in Responses'.
 */
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { unsupported } from '../openai/parse.ts';
import type { ResponsesBody } from '../openai/responses-schema.ts';

type Body = ResponsesBody;

/** Throws `unsupported_parameter` for tools other than functions. */
export function chatTools({ tools }: Body) {
  return tools?.map((tool, index) => {
    functionOnly(tool.type, `tools[${index}].type`);
    const { name, description, parameters, strict } = tool;
    if (name === undefined) {
      const param = `tools[${index}].name`;
      throw new StatorError('invalid_request', `Missing required parameter: '${param}'.`, { param });
    }
    const made = { name, ...given({ description, parameters, strict }) };
    return { type: 'function' as const, function: made };
  });
}

export function chatToolChoice({ tool_choice: choice }: Body) {
  if (typeof choice !== 'object' || choice === null) return choice;
  functionOnly(choice.type, 'tool_choice.type');
  return { type: 'function' as const, function: { name: choice.name ?? '' } };
}

export function chatFormat({ text }: Body) {
  const format = text?.format;
  if (format?.type !== 'json_schema') return format;
  const { name, schema, strict } = format;
  return { type: 'json_schema' as const, json_schema: { name, schema, ...given({ strict }) } };
}

function functionOnly(type: string, param: string): void {
  if (type === 'function') return;
  throw unsupported(param, `Tools of type '${type}' are not served: only functions are.`);
}

/** Without what is null or missing. */
function given<T extends Record<string, unknown>>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(members).filter(([, value]) => value != null);
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> };
}

const WORDS: readonly (readonly [chat: RegExp, responses: string])[] = [
  [/\bresponse_format\.json_schema\b/g, 'text.format'],
  [/\bresponse_format\b/g, 'text.format'],
  [/\b(tools\[\d+\]|tool_choice)\.function\b/g, '$1'],
  [/\bmax_tokens\b/g, 'max_output_tokens'],
];

/** What was said of the chat's fields, said of this API's. */
export function inResponsesWords(thrown: unknown): StatorError {
  const error = toStatorError(thrown);
  if (error.param === null) return error;
  const param = error.param === 'messages' ? 'input' : inWords(error.param);
  const message = inWords(error.message);
  if (param === error.param && message === error.message) return error;
  return new StatorError(error.code, message, {
    param,
    cause: error.cause,
    ...(error.retryAfterS === null ? {} : { retryAfterS: error.retryAfterS }),
    ...(error.report === null ? {} : { report: error.report }),
  });
}

const inWords = (text: string): string =>
  WORDS.reduce((said, [chat, responses]) => said.replace(chat, responses), text);
