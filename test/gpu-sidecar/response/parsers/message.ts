/** The message that parts add up to, and the two ways that tests get one: in one piece, or cut anywhere. */

import type { AnswerEnd } from '../../../../gpu-sidecar/response/answer.ts';
import type {
  ContentPart,
  ParserOptions,
  ToolSpec,
} from '../../../../gpu-sidecar/response/parsers/parser.ts';
import { makeContentParser } from '../../../../gpu-sidecar/response/parsers/registry.ts';

/** `reasoningOpen` is left to the family unless a test says it. */
export type Names = Partial<Omit<ParserOptions, 'tools'>>;

export const TOOLS: readonly ToolSpec[] = [
  {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' }, unit: { enum: ['C', 'F'] } },
    },
  },
  {
    name: 'add',
    parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } },
  },
  { name: 'add_all', parameters: { type: 'object', properties: { values: { type: 'array' } } } },
];

/** Neighbours of one kind joined, so that two ways of cutting can be compared. */
export function joined(parts: readonly ContentPart[]): ContentPart[] {
  const all: ContentPart[] = [];
  for (const part of parts) {
    const last = all.at(-1);
    if (last?.kind === part.kind && 'text' in last && 'text' in part) last.text += part.text;
    else all.push({ ...part });
  }
  return all;
}

/** Parts of an answer that came in these pieces. */
export function parse(pieces: readonly string[], names: Names, end: AnswerEnd = 'stop'): ContentPart[] {
  const parser = makeContentParser({ toolCallParser: null, reasoningParser: null, tools: TOOLS, ...names });
  if (parser === null) throw new Error('no parser named');
  return joined([...pieces.flatMap((piece) => parser.push(piece)), ...parser.end(end)]);
}

export interface Message {
  content: string;
  reasoning: string;
  calls: { name: string; id?: string; args: string }[];
}

export function message(parts: readonly ContentPart[]): Message {
  const all: Message = { content: '', reasoning: '', calls: [] };
  for (const part of parts) {
    if (part.kind === 'tool_call') {
      all.calls.push({ name: part.name, args: '', ...(part.id === undefined ? {} : { id: part.id }) });
    } else if (part.kind === 'tool_arguments') all.calls[part.index]!.args += part.text;
    else all[part.kind] += part.text;
  }
  return all;
}
