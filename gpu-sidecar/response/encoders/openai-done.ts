/** How OpenAI's streams of chunks end. */

import type { EventLines } from '../encoder.ts';
import type { ResponseFacts } from '../facts.ts';
import { type Usage, usageJson } from '../usage.ts';

export const OPENAI_DONE = 'data: [DONE]';

/** A chunk without choices where usage or `nvext` was asked for, then the end. `base`: a chunk up to its choices. */
export function closing(base: string, facts: ResponseFacts, usage: Usage): EventLines {
  const asked = facts.includeUsage ? `,"usage":${usageJson(usage)}` : '';
  const members = asked + (facts.nvext?.member(usage) ?? '');
  return members === '' ? [OPENAI_DONE] : [`${base}]${members}}`, OPENAI_DONE];
}
