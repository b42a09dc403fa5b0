/** The body of `POST /v1/chat/completions`. Text only: other content parts are refused by name in `chat-request.ts`. */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { samplingFields, tokenCount } from './sampling-schema.ts';

const contentPart = z.looseObject({ type: z.string(), text: z.string().optional() });

const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.union([z.string(), z.array(contentPart)]).nullish(),
  name: z.string().nullish(),
});

export const chatSchema = z.looseObject({
  ...samplingFields,
  messages: z.array(message).min(1).max(LIMITS.messages),
  max_completion_tokens: tokenCount.nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(LIMITS.topLogprobs).nullish(),
  response_format: z.looseObject({ type: z.string() }).nullish(),
  tools: z.array(z.unknown()).nullish(),
});

export type ChatBody = z.output<typeof chatSchema>;
