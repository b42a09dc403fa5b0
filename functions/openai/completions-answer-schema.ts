/** What `POST /v1/completions` answers: `text_completion`, whole and as chunks of a stream. */
import * as z from 'zod';
import { named } from '../openapi/operation.ts';
import { head, usageSchema } from './answer-schema.ts';

const finishReason = z.enum(['stop', 'length']);
const logprobs = named(
  'CompletionLogprobs',
  z.object({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number().max(0)),
    top_logprobs: z.array(z.record(z.string(), z.number().max(0))),
    text_offset: z.array(z.number().int().min(0)),
  }),
);
const choice = { index: z.number().int().min(0), text: z.string(), logprobs: logprobs.nullable() };

export const completionSchema = named(
  'Completion',
  z.object({
    ...head,
    object: z.literal('text_completion'),
    choices: z.array(z.object({ ...choice, finish_reason: finishReason })),
    usage: usageSchema.optional(),
  }),
);

export const completionChunkSchema = named(
  'CompletionChunk',
  z.object({
    ...head,
    object: z.literal('text_completion'),
    choices: z.array(z.object({ ...choice, finish_reason: finishReason.nullable() })),
    usage: usageSchema.nullish(),
  }),
);
