/** The body of every error in OpenAI's form, as `StatorError.toOpenAi` writes it. */
import * as z from 'zod';
import { ERROR_CODES } from '../../durable/runtime/errors.ts';
import { named } from '../openapi/operation.ts';

export const errorSchema = named(
  'Error',
  z.object({
    error: z.object({
      message: z.string().min(1),
      type: z.string().min(1),
      /** The field that is wrong. */
      param: z.string().nullable(),
      code: z.enum(ERROR_CODES),
    }),
    // Refusals of the queue say their figures beside it, as Dynamo does.
    message: z.string().optional(),
    type: z.literal('Overloaded').optional(),
    code: z.number().int().optional(),
    details: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  }),
);
