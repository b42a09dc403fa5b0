/** Body and answer of `POST /v1/embeddings` (https://platform.openai.com/docs/api-reference/embeddings/create). */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { nvext } from '../openai/nvext.ts';

export const embeddingsSchema = z.looseObject({
  model: z.string().min(1).max(LIMITS.modelNameLength),
  /** A text, its token ids, or a list of either; the elements are checked in `embeddings-request.ts`. */
  input: z.union([z.string(), z.array(z.unknown()).min(1)]),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  /** Only the model's own: a part of its vectors means nothing unless it was trained for that. */
  dimensions: z.number().int().min(1).nullish(),
  user: z.string().nullish(),
  nvext,
});

export const embeddingsAnswerSchema = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: z.number().int().min(0),
      /** base64: little-endian 32-bit floats. */
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.number().int(), total_tokens: z.number().int() }),
});

export type EmbeddingsBody = z.output<typeof embeddingsSchema>;
