/**
 * What an answer must look like, in llguidance's words: the client's schema, expression or grammar, or forced calls in the
 * family's own form, behind the reasoning that a model with a reasoning parser may or must write first.
 *
 * Pure. What it gives is a key, too: equal requests share a compiled grammar. What cannot be is refused by name.
 */

import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { type Grammar, GrammarKind } from '../../proto/gen/stator/v1/worker_pb.js';
import type { ToolSpec } from '../parsers/parser.ts';
import { REASONING_FAMILIES } from '../parsers/reasoning-families.ts';
import { CALL_FORMS, type CallForm } from './call-forms.ts';
import { isGbnf, larkOfGbnf } from './gbnf.ts';

/** What else decides the form of the answer. */
export interface AnswerForm {
  toolCallParser: string | null;
  reasoningParser: string | null;
  /** The prompt ended inside the reasoning; undefined: the family's own way. */
  reasoningOpen: boolean | undefined;
  tools: readonly ToolSpec[];
  oneToolCall: boolean;
}

/** One grammar of llguidance's list; others name it `@name`. */
interface Part {
  name?: string;
  lark_grammar?: string;
  json_schema?: unknown;
}

/** Between two parts of JSON: enough for an indentation, not for an answer of nothing else. */
const WHITESPACE = '[ \\n\\r\\t]{1,20}';

/** Throws StatorError `invalid_request` or `unsupported_parameter` with the client's name of the field. */
export function answerGrammar(grammar: Grammar, form: AnswerForm): string {
  const { text, param } = grammar;
  if (Buffer.byteLength(text) > LIMITS.grammarBytes)
    throw invalid(param, `larger than ${LIMITS.grammarBytes} bytes.`);
  const parts = grammar.kind === GrammarKind.TOOL_CALL ? calls(grammar, form) : [answer(grammar)];
  const main = withReasoning(param, form);
  const grammars =
    main === null ? parts : [{ lark_grammar: main }, { ...parts[0], name: 'answer' }, ...parts.slice(1)];
  return JSON.stringify({ grammars });
}

function answer({ kind, text, param }: Grammar): Part {
  switch (kind) {
    case GrammarKind.JSON_OBJECT:
      return schemaPart({ type: 'object' });
    case GrammarKind.JSON_SCHEMA:
      return schemaPart(parsed(text, param));
    case GrammarKind.REGEX:
      return { lark_grammar: `start: /${larkRegex(text)}/\n` };
    case GrammarKind.CHOICE:
      return { lark_grammar: `start: CHOICE\nCHOICE: ${choices(text, param).map(literal).join(' | ')}\n` };
    case GrammarKind.CONTEXT_FREE:
      return { lark_grammar: isGbnf(text) ? larkOfGbnf(text, param) : text };
    default:
      throw invalid('grammar.kind', 'unknown.');
  }
}

/** `start` of calls, and a grammar for the arguments of each tool. */
function calls({ text: wanted, param }: Grammar, form: AnswerForm): Part[] {
  const { tools, toolCallParser, oneToolCall } = form;
  const family = toolCallParser ?? '';
  if (!Object.hasOwn(CALL_FORMS, family)) {
    const reason = `Calls of the family '${family}' cannot be forced; use 'auto'.`;
    throw new StatorError('unsupported_parameter', reason, { param });
  }
  const callable = wanted === '' ? tools : tools.filter(({ name }) => name === wanted);
  if (callable.length === 0) throw invalid(param, `there is no tool '${wanted}'.`);
  const callForm = CALL_FORMS[family]!;
  const single = oneToolCall || wanted !== '' || callForm.between === null;
  const schemas = callable.map(({ parameters }, index) => ({
    ...schemaPart(parameters ?? { type: 'object' }),
    name: `arguments${index}`,
  }));
  return [{ lark_grammar: larkOfCalls(callForm, callable, single) }, ...schemas];
}

function larkOfCalls(form: CallForm, tools: readonly ToolSpec[], single: boolean): string {
  const alternatives = tools.map(
    ({ name }, index) => `${literal(form.before(name))} @arguments${index} ${literal(form.after)}`,
  );
  const more = single ? '' : ` (${literal(form.between ?? '')} call)*`;
  const start = `start: ${literal(form.start)} call${more} ${literal(form.end)}`;
  return `${start}\ncall: ${alternatives.join('\n  | ')}\n`;
}

/** null: the answer is all there is. */
function withReasoning(param: string, { reasoningParser, reasoningOpen }: AnswerForm): string | null {
  if (reasoningParser === null) return null;
  const family = REASONING_FAMILIES[reasoningParser];
  if (family === undefined) return null;
  if (typeof family === 'string') {
    const reason = `Answers of the family '${family}' cannot be held to a form.`;
    throw new StatorError('unsupported_parameter', reason, { param });
  }
  const close = family.closes.map((marker) => marker.replaceAll(/[/\\^$.*+?()[\]{}|]/g, '\\$&')).join('|');
  const inside = `inside: thought SPACE?\nthought[suffix=/${close}/]: /(?s:.*)/\nSPACE: /[ \\n]{1,4}/\n`;
  if (reasoningOpen ?? family.startsOpen) return `start: inside @answer\n${inside}`;
  return `start: (open inside)? @answer\nopen: ${family.opens.map(literal).join(' | ')}\n${inside}`;
}

function schemaPart(schema: unknown): Part {
  const options = { whitespace_pattern: WHITESPACE };
  const open = typeof schema === 'object' && schema !== null ? schema : { allOf: [schema] };
  return { json_schema: { ...open, 'x-guidance': options } };
}

function parsed(text: string, param: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(param, 'it is not JSON.', cause);
  }
}

function choices(text: string, param: string): string[] {
  const list = parsed(text, param);
  if (!Array.isArray(list) || !list.every((choice) => typeof choice === 'string' && choice !== '')) {
    throw invalid(param, 'expected a list of strings that are not empty.');
  }
  if (list.length === 0) throw invalid(param, 'expected at least one choice.');
  if (list.length > LIMITS.grammarChoices)
    throw invalid(param, `more than ${LIMITS.grammarChoices} choices.`);
  return list;
}

/** The empty text is a literal, too. */
const literal = (text: string): string => JSON.stringify(text);

/** Between slashes in Lark; the whole answer matches, so anchors at the ends say nothing. */
function larkRegex(text: string): string {
  const from = text.startsWith('^') ? 1 : 0;
  let escapes = 0;
  while (text.at(-2 - escapes) === '\\') escapes++;
  const to = text.endsWith('$') && escapes % 2 === 0 ? -1 : text.length;
  return text.slice(from, to).replaceAll(/\\[\s\S]|\/|\n|\r|\t/g, (found) => ESCAPES[found] ?? found);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '/': '\\/',
  '\n': '\\n',
  '\\\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

const invalid = (param: string, reason: string, cause?: unknown): StatorError =>
  new StatorError('invalid_request', `Invalid value for '${param}': ${reason}`, { param, cause });
