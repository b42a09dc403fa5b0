/** The constraint of a request: its grammar, compiled for the engine's vocabulary, or the refusal by the client's name of it. */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { Constraint, GrammarCompiler } from '../engines/constraint/constraint.ts';
import type { Vocabulary } from '../engines/engine.ts';
import type { ModelCard } from '../proto/gen/stator/v1/model_pb.js';
import { type Grammar, GrammarKind } from '../proto/gen/stator/v1/worker_pb.js';
import { answerGrammar } from '../response/grammar/answer-grammar.ts';
import { controlIds } from '../response/grammar/control-ids.ts';
import type { ParserOptions } from '../response/parsers/parser.ts';

/** A grammar that is well-formed as far as can be said without compiling it. */
export interface WantedGrammar {
  /** llguidance's JSON. */
  source: string;
  /** How the client named it. */
  param: string;
  grammars: GrammarCompiler;
}

const NO_CONTROLS: ReadonlyMap<string, number> = new Map();

/** Longer reasons are a grammar told back. */
const REASON_LENGTH = 400;

/** Throws StatorError `invalid_request` or `unsupported_parameter`. */
export function wantedGrammar(
  grammar: Grammar,
  options: {
    grammars: GrammarCompiler | undefined;
    card: ModelCard;
    vocabulary: Vocabulary;
    parsing: ParserOptions | null;
    oneToolCall: boolean;
  },
): WantedGrammar {
  const { grammars, card, vocabulary, parsing, oneToolCall } = options;
  const forced = grammar.kind === GrammarKind.TOOL_CALL;
  const param = grammar.param || (forced ? 'tool_choice' : 'response_format');
  if (grammars === undefined) {
    const what = forced ? 'make the model call a tool' : 'hold an answer to a form';
    throw new StatorError('unsupported_parameter', `The workers of '${card.name}' cannot ${what}.`, {
      param,
    });
  }
  const source = answerGrammar(
    { ...grammar, param },
    {
      toolCallParser: parsing?.toolCallParser ?? null,
      reasoningParser: parsing?.reasoningParser ?? null,
      reasoningOpen: parsing?.reasoningOpen,
      tools: parsing?.tools ?? [],
      oneToolCall,
      controls: parsing === null ? NO_CONTROLS : controlIds(vocabulary, parsing),
    },
  );
  return { source, param, grammars };
}

/** Throws StatorError `invalid_request` for a grammar that cannot be enforced, `overloaded` when too many are looked at. */
export async function compileGrammar({ source, param, grammars }: WantedGrammar): Promise<Constraint> {
  const reason = await grammars.check(source);
  if (reason !== null) throw cannotBeEnforced(param, reason);
  try {
    return grammars.compile(source);
  } catch (thrown) {
    throw cannotBeEnforced(param, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function cannotBeEnforced(param: string, reason: string): StatorError {
  const said = reason.startsWith('NoExtensionBias') ? 'no answer can obey it' : reason;
  const short = said.replaceAll('<non-verbose/>', '').trim().slice(0, REASON_LENGTH);
  const message = `Invalid value for '${param}': it cannot be enforced: ${short}`;
  return new StatorError('invalid_request', message, { param });
}
