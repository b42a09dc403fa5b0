/**
 * What an answer must look like, in llguidance's words: the client's schema, expression or grammar, or forced calls in the
 * family's own form, behind the reasoning that a model with a reasoning parser may or must write first.
 *
 * Pure. What it gives is a key, too: equal requests share a compiled grammar. What cannot be is refused by name.
 */

import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { type Grammar, GrammarKind } from '../../proto/gen/stator/v1/worker_pb.js';
import type { AnswerForm } from './answer-form.ts';
import { CALL_FORMS, HARMONY_MARK } from './call-forms.ts';
import { forcedCalls } from './forced-calls.ts';
import { isGbnf, larkOfGbnf } from './gbnf.ts';
import { literal, type Part, schemaPart } from './lark.ts';
import { beforeAnswer, isHarmony } from './reasoning-form.ts';
import { schemaWithout } from './schema-without.ts';

/** Throws StatorError `invalid_request` or `unsupported_parameter` with the client's name of the field. */
export function answerGrammar(grammar: Grammar, form: AnswerForm): string {
  const { text, param } = grammar;
  if (Buffer.byteLength(text) > LIMITS.grammarBytes)
    throw invalid(param, `larger than ${LIMITS.grammarBytes} bytes.`);
  const forced = grammar.kind === GrammarKind.TOOL_CALL;
  const parts = forced ? calls(grammar, form) : [answer(grammar, form)];
  const before = beforeAnswer(form, { forced });
  const grammars =
    before === null ? parts : [{ lark_grammar: before }, { ...parts[0], name: 'answer' }, ...parts.slice(1)];
  return JSON.stringify({ grammars });
}

function answer({ kind, text, param }: Grammar, form: AnswerForm): Part {
  switch (kind) {
    case GrammarKind.JSON_OBJECT:
      return jsonAnswer({ type: 'object' }, form);
    case GrammarKind.JSON_SCHEMA:
      return jsonAnswer(parsed(text, param), form);
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

/** What gpt-oss says is looked through for markup even inside strings. */
const jsonAnswer = (schema: unknown, form: AnswerForm): Part =>
  schemaPart(isHarmony(form) ? schemaWithout(HARMONY_MARK, schema) : schema);

function calls({ text: wanted, param }: Grammar, form: AnswerForm): Part[] {
  const family = form.toolCallParser ?? '';
  const callForm = Object.hasOwn(CALL_FORMS, family) ? CALL_FORMS[family]! : null;
  if (callForm === null) {
    const reason = `Calls of the family '${family}' cannot be forced; use 'auto'.`;
    throw new StatorError('unsupported_parameter', reason, { param });
  }
  const tools = wanted === '' ? form.tools : form.tools.filter(({ name }) => name === wanted);
  if (tools.length === 0) throw invalid(param, `there is no tool '${wanted}'.`);
  const single = form.oneToolCall || wanted !== '';
  return forcedCalls(callForm, { tools, single, family, param, controls: form.controls });
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
