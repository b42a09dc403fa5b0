/** What `POST /v1/chat/completions` answers: `chat.completion`, and `chat.completion.chunk` in streams. */
import * as z from 'zod';
import { named } from '../openapi/operation.ts';
import { head, usageSchema } from './answer-schema.ts';

const index = z.number().int().min(0);
const finishReason = z.enum(['stop', 'length', 'tool_calls']);

const namedToken = {
  token: z.string(),
  logprob: z.number().max(0),
  bytes: z.array(z.number().int().min(0).max(255)),
};
const logprobs = named(
  'ChatLogprobs',
  z.object({
    content: z.array(z.object({ ...namedToken, top_logprobs: z.array(z.object(namedToken)) })),
    refusal: z.null(),
  }),
);

const message = z.object({
  role: z.literal('assistant'),
  content: z.string().nullable(),
  refusal: z.null(),
  reasoning_content: z.string().optional(),
  tool_calls: z
    .array(
      z.object({
        id: z.string().min(1),
        type: z.literal('function'),
        function: z.object({ name: z.string(), arguments: z.string() }),
      }),
    )
    .min(1)
    .optional(),
});

export const chatCompletionSchema = named(
  'ChatCompletion',
  z.object({
    ...head,
    object: z.literal('chat.completion'),
    choices: z.array(
      z.object({ index, message, logprobs: logprobs.nullable(), finish_reason: finishReason }),
    ),
    usage: usageSchema.optional(),
  }),
);

const delta = z.object({
  role: z.literal('assistant').optional(),
  content: z.string().optional(),
  reasoning_content: z.string().optional(),
  tool_calls: z
    .array(
      z.object({
        index,
        id: z.string().min(1).optional(),
        type: z.literal('function').optional(),
        function: z.object({ name: z.string().optional(), arguments: z.string() }),
      }),
    )
    .optional(),
});

export const chatCompletionChunkSchema = named(
  'ChatCompletionChunk',
  z.object({
    ...head,
    object: z.literal('chat.completion.chunk'),
    choices: z.array(
      z.object({ index, delta, logprobs: logprobs.nullable(), finish_reason: finishReason.nullable() }),
    ),
    usage: usageSchema.nullish(),
  }),
);
