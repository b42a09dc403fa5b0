/**
 * Fields of OpenAI that change nothing here, and such that ask for what is not served. Fields that nobody knows are refused by name, as
 * OpenAI does, because a misspelt wish would silently not be granted.
 */
import * as z from 'zod';

/** Only null, or the answer says what is wrong. */
export const refused = (reason: string) => z.null({ error: reason }).optional();
const text = z.string().nullish();

/** Of both endpoints. */
export const sharedForeignFields = {
  use_beam_search: z.literal(false, { error: 'beam search is not served.' }).nullish(),
  skip_special_tokens: z.literal(true, { error: 'special tokens are never part of the text.' }).nullish(),
};

/** Who pays, how fast, where it is cached: matters of OpenAI's own service. */
export const ownServiceFields = {
  service_tier: text,
  prompt_cache_key: text,
  prompt_cache_retention: text,
  safety_identifier: text,
};

export const chatForeignFields = {
  ...sharedForeignFields,
  ...ownServiceFields,
  /** A guess of the answer; it is right without one. */
  prediction: z.looseObject({ type: z.literal('content') }).nullish(),
  verbosity: z.enum(['low', 'medium', 'high']).nullish(),
  modalities: z.array(z.literal('text', { error: 'only text is served.' })).nullish(),
  audio: refused('audio is not served.'),
  web_search_options: refused('there is no web search here.'),
  functions: refused("it is not served: use 'tools'."),
  function_call: refused("it is not served: use 'tool_choice'."),
  chat_template: refused("the template is the model's own; 'chat_template_kwargs' sets its switches."),
};
