/** Answers and queries of `/v1/files` (https://platform.openai.com/docs/api-reference/files). */
import * as z from 'zod';
import { FILE_PURPOSES } from '../../durable/batches/rpc.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';

const DAY_S = 24 * 3600;

/** The form; `file` is the content. */
export const fileFormSchema = z.object({
  purpose: z.literal('batch', 'only files of purpose "batch" are kept'),
  /** Seconds after which the file is deleted. */
  'expires_after[seconds]': z.coerce
    .number()
    .int()
    .min(3600)
    .max(30 * DAY_S)
    .optional(),
  'expires_after[anchor]': z.literal('created_at').optional(),
});

export const fileSchema = z.object({
  id: z.string(),
  object: z.literal('file'),
  bytes: z.number().int().min(0),
  /** Unix seconds. */
  created_at: z.number().int(),
  expires_at: z.number().int().nullable(),
  filename: z.string(),
  purpose: z.enum(FILE_PURPOSES),
  status: z.literal('processed'),
});

export const fileListSchema = z.object({
  object: z.literal('list'),
  data: z.array(fileSchema),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
  has_more: z.boolean(),
});

export const fileDeletedSchema = z.object({
  id: z.string(),
  object: z.literal('file'),
  deleted: z.literal(true),
});

export const fileListQuery = z.object({
  after: z.string().max(LIMITS.modelNameLength).optional(),
  limit: z.coerce.number().int().min(1).max(LIMITS.filesPerPage).optional(),
  order: z.enum(['asc', 'desc']).optional(),
  purpose: z.string().max(LIMITS.modelNameLength).optional(),
});

export type FileDocument = z.output<typeof fileSchema>;
