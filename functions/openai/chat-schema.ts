/** The body of `POST /v1/chat/completions`. Text only: other content parts are refused by name in `chat-request.ts`. */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { chatForeignFields } from './foreign-fields.ts';
import { formatFields } from './guided-schema.ts';
import { samplingFields, tokenCount } from './sampling-schema.ts';

const contentPart = z.looseObject({ type: z.string(), text: z.string().optional() });

const functionName = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'expected letters, digits, _, - and ., at most 64');
const record = z.record(z.string(), z.unknown());

const pastToolCall = z.looseObject({
  id: z.string().nullish(),
  type: z.literal('function').nullish(),
  function: z.looseObject({ name: functionName, arguments: z.string().nullish() }),
});

const tool = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({
    name: functionName,
    description: z.string().nullish(),
    parameters: record.nullish(),
    strict: z.boolean().nullish(),
  }),
});

const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.looseObject({ type: z.literal('function'), function: z.looseObject({ name: z.string() }) }),
]);

const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.union([z.string(), z.array(contentPart)]).nullish(),
  name: z.string().nullish(),
  tool_calls: z.array(pastToolCall).max(LIMITS.tools).nullish(),
  tool_call_id: z.string().nullish(),
});

export const chatSchema = z.strictObject({
  ...samplingFields,
  ...chatForeignFields,
  messages: z.array(message).min(1).max(LIMITS.messages),
  max_completion_tokens: tokenCount.nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(LIMITS.topLogprobs).nullish(),
  ...formatFields,
  tools: z.array(tool).max(LIMITS.tools).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  documents: z.array(record).max(LIMITS.documents).nullish(),
  chat_template_kwargs: record.nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  store: z.boolean().nullish(),
  /** A switch of templates that know it. */
  reasoning_effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh']).nullish(),
});

export type ChatBody = z.output<typeof chatSchema>;
