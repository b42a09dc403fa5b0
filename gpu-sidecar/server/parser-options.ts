/** How the text of an answer is read: by the model's own parsers, for calls only where the request has tools. */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { Vocabulary } from '../engines/engine.ts';
import type { ModelCard } from '../proto/gen/stator/v1/model_pb.js';
import { Dialect, type Output } from '../proto/gen/stator/v1/worker_pb.js';
import { detokenise } from '../response/detokenise.ts';
import type { ParserOptions, ToolSpec } from '../response/parsers/parser.ts';
import { reasoningOpenAfter } from '../response/parsers/reasoning-families.ts';
import { makeContentParser } from '../response/parsers/registry.ts';
import { tokenTexts } from '../response/token-texts.ts';

/** As many last tokens of the prompt as can hold the marker that opens reasoning. */
const MARKER_TOKENS = 16;

/** Writes the worker's settings into its card. Throws `invalid_request` for a parser that is not known. */
export function nameParsers(
  card: ModelCard,
  settings: { toolCallParser: string; reasoningParser: string },
): void {
  const { toolCallParser, reasoningParser } = settings;
  makeContentParser({
    toolCallParser: toolCallParser || null,
    reasoningParser: reasoningParser || null,
    tools: [],
  });
  card.toolCallParser = toolCallParser;
  card.reasoningParser = reasoningParser;
}

/** null: all text is content. Throws `unsupported_parameter` for tools of a model without a parser. */
export function parserOptions(
  output: Output,
  promptIds: Uint32Array,
  { card, vocabulary }: { card: ModelCard; vocabulary: Vocabulary },
): ParserOptions | null {
  if (output.tools !== '' && card.toolCallParser === '') {
    throw new StatorError(
      'unsupported_parameter',
      `The workers of '${card.name}' were not told how it writes calls of tools (--tool-call-parser).`,
      { param: 'tools' },
    );
  }
  if (output.tools === '' && card.reasoningParser === '') return null;
  if (output.dialect === Dialect.OPENAI_COMPLETION) return null;
  const options: ParserOptions = {
    toolCallParser: output.tools === '' ? null : card.toolCallParser,
    reasoningParser: card.reasoningParser || null,
    tools: output.tools === '' ? [] : toolSpecs(output.tools),
  };
  if (options.reasoningParser === null) return options;
  const ending = detokenise(tokenTexts(vocabulary, options), promptIds.subarray(-MARKER_TOKENS));
  const reasoningOpen = reasoningOpenAfter(ending, options.reasoningParser);
  return reasoningOpen === undefined ? options : { ...options, reasoningOpen };
}

function toolSpecs(json: string): ToolSpec[] {
  try {
    const tools = JSON.parse(json) as { function: ToolSpec }[];
    return tools.map(({ function: { name, parameters } }) => ({ name, parameters }));
  } catch (cause) {
    throw new StatorError('invalid_request', 'output.tools: not a list of tools', {
      param: 'output.tools',
      cause,
    });
  }
}
