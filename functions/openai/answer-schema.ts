/**
 * What the answers of chat completions and completions share. No code parses them: sidecars write them as bytes. They are
 * published (`/openapi.json`), and every answer of the end-to-end tests is held against them.
 */
import * as z from 'zod';
import { explanationSchema } from '../dispatch/explanation.ts';
import { named } from '../openapi/operation.ts';

const count = z.number().int().min(0);

export const usageSchema = named(
  'Usage',
  z.object({
    prompt_tokens: count,
    completion_tokens: count,
    total_tokens: count,
    prompt_tokens_details: z.object({ cached_tokens: count }),
  }),
);

/** Of answers that only say where the request would go (`query_instance_id`), and of those that asked for extra fields. */
export const nvextAnswerSchema = named(
  'NvExtAnswer',
  z.object({
    worker_id: z
      .object({
        prefill_worker_id: z.string().optional(),
        prefill_dp_rank: count.optional(),
        decode_worker_id: z.string().optional(),
        decode_dp_rank: count.optional(),
      })
      .optional(),
    timing: z
      .object({
        request_received_ms: count,
        prefill_wait_time_ms: z.number().optional(),
        prefill_time_ms: z.number().optional(),
        ttft_ms: z.number().optional(),
        /** From the worker's acceptance to its first token, and between two tokens of the answer's middle half, by its clock. */
        worker_ttft_ms: z.number().optional(),
        steady_itl_ms: z.number().optional(),
        total_time_ms: z.number(),
        kv_hit_rate: z.number().min(0).max(1),
      })
      .optional(),
    token_ids: z.array(count).optional(),
    routing: explanationSchema.optional(),
  }),
);

/** Members of a document and of each of its chunks. */
export const head = {
  id: z.string().min(1),
  created: count,
  model: z.string().min(1),
  nvext: nvextAnswerSchema.optional(),
};
