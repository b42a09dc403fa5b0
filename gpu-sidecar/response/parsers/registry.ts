/** Parsers by name. */

import { StatorError } from '../../../durable/runtime/errors.ts';
import { HarmonyParser } from './harmony-parser.ts';
import type { ContentParser, ParserOptions } from './parser.ts';
import { REASONING_FAMILIES } from './reasoning-families.ts';
import { SegmentParser } from './segment-parser.ts';
import { HARMONY, TOOL_CALL_FAMILIES } from './tool-call-families.ts';

/**
 * The parser of one response; null: nothing is looked for, all text is content.
 * Throws `invalid_request` for a name that is not known.
 */
export function makeContentParser(options: ParserOptions): ContentParser | null {
  const calls = named(TOOL_CALL_FAMILIES, options.toolCallParser, 'tool_call_parser');
  const reasoning = named(REASONING_FAMILIES, options.reasoningParser, 'reasoning_parser');
  if (calls === null && reasoning === null) return null;
  if (calls === HARMONY || reasoning === HARMONY) {
    return new HarmonyParser({ reasoningOpen: options.reasoningOpen ?? false });
  }
  const reasoningOpen = reasoning !== null && (options.reasoningOpen ?? reasoning.startsOpen);
  return new SegmentParser({ calls, reasoning, reasoningOpen, tools: options.tools });
}

function named<T>(families: Readonly<Record<string, T>>, name: string | null, param: string): T | null {
  if (name === null) return null;
  if (!Object.hasOwn(families, name)) {
    const known = Object.keys(families).join(', ');
    throw new StatorError('invalid_request', `unknown ${param} "${name}"; known: ${known}`, { param });
  }
  return families[name]!;
}
