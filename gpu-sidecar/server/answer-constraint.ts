/** The constraint of a request: its grammar, compiled for the engine's vocabulary, or the refusal by the client's name of it. */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { Constraint, GrammarCompiler } from '../engines/constraint/constraint.ts';
import type { ModelCard } from '../proto/gen/stator/v1/model_pb.js';
import { type Grammar, GrammarKind } from '../proto/gen/stator/v1/worker_pb.js';
import { answerGrammar } from '../response/grammar/answer-grammar.ts';
import type { ParserOptions } from '../response/parsers/parser.ts';

/** Longer reasons are a grammar told back. */
const REASON_LENGTH = 400;

/** Throws StatorError `invalid_request` or `unsupported_parameter`. */
export function answerConstraint(
  grammar: Grammar,
  options: {
    grammars: GrammarCompiler | undefined;
    card: ModelCard;
    parsing: ParserOptions | null;
    oneToolCall: boolean;
  },
): Constraint {
  const { grammars, card, parsing, oneToolCall } = options;
  const named = { ...grammar, param: grammar.param || defaultParam(grammar.kind) };
  if (grammars === undefined) {
    const what =
      grammar.kind === GrammarKind.TOOL_CALL ? 'make the model call a tool' : 'hold an answer to a form';
    throw new StatorError('unsupported_parameter', `The workers of '${card.name}' cannot ${what}.`, {
      param: named.param,
    });
  }
  const source = answerGrammar(named, {
    toolCallParser: parsing?.toolCallParser ?? null,
    reasoningParser: parsing?.reasoningParser ?? null,
    reasoningOpen: parsing?.reasoningOpen,
    tools: parsing?.tools ?? [],
    oneToolCall,
  });
  try {
    return grammars.compile(source);
  } catch (cause) {
    if (cause instanceof StatorError) throw cause;
    const reason = reasonOf(cause instanceof Error ? cause.message : String(cause));
    const message = `Invalid value for '${named.param}': it cannot be enforced: ${reason}`;
    throw new StatorError('invalid_request', message, { param: named.param, cause });
  }
}

function reasonOf(message: string): string {
  if (message.startsWith('NoExtensionBias')) return 'no answer can obey it';
  return message.replaceAll('<non-verbose/>', '').trim().slice(0, REASON_LENGTH);
}

const defaultParam = (kind: GrammarKind): string =>
  kind === GrammarKind.TOOL_CALL ? 'tool_choice' : 'response_format';
