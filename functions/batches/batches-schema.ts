/** Bodies, answers and queries of `/v1/batches` (https://platform.openai.com/docs/api-reference/batch). */
import * as z from 'zod';
import { BATCH_ENDPOINTS, BATCH_STATES } from '../../durable/batches/rpc.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';

const metadata = z.record(
  z.string().max(LIMITS.metadataKeyLength),
  z.string().max(LIMITS.metadataValueLength),
);

export const batchRequestSchema = z.looseObject({
  input_file_id: z.string().min(1).max(LIMITS.modelNameLength),
  endpoint: z.enum(BATCH_ENDPOINTS),
  completion_window: z.literal('24h'),
  metadata: metadata
    .refine((keys) => Object.keys(keys).length <= LIMITS.metadataKeys, `at most ${LIMITS.metadataKeys} keys`)
    .nullish(),
});

const seconds = z.number().int().nullable();

export const batchSchema = z.object({
  id: z.string(),
  object: z.literal('batch'),
  endpoint: z.enum(BATCH_ENDPOINTS),
  errors: z
    .object({
      object: z.literal('list'),
      data: z.array(
        z.object({
          code: z.string(),
          message: z.string(),
          line: z.number().int().nullable(),
          param: z.string().nullable(),
        }),
      ),
    })
    .nullable(),
  input_file_id: z.string(),
  completion_window: z.literal('24h'),
  status: z.enum(BATCH_STATES),
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  /** Unix seconds, this and all that follow. */
  created_at: z.number().int(),
  in_progress_at: seconds,
  expires_at: z.number().int(),
  finalizing_at: seconds,
  completed_at: seconds,
  failed_at: seconds,
  expired_at: seconds,
  cancelling_at: seconds,
  cancelled_at: seconds,
  request_counts: z.object({
    total: z.number().int(),
    completed: z.number().int(),
    failed: z.number().int(),
  }),
  metadata: metadata.nullable(),
});

export const batchListSchema = z.object({
  object: z.literal('list'),
  data: z.array(batchSchema),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
  has_more: z.boolean(),
});

export const batchListQuery = z.object({
  after: z.string().max(LIMITS.modelNameLength).optional(),
  limit: z.coerce.number().int().min(1).max(LIMITS.batchesPerPage).optional(),
});

export type BatchDocument = z.output<typeof batchSchema>;
