/** The body of `POST /v1/completions`: one prompt, as text or as token ids. */
import * as z from 'zod';
import { sharedForeignFields } from './foreign-fields.ts';
import { formatFields } from './guided-schema.ts';
import { samplingFields } from './sampling-schema.ts';

export const completionsSchema = z.strictObject({
  ...samplingFields,
  ...sharedForeignFields,
  ...formatFields,
  /** The elements are checked in `completions-request.ts`: zod per token id would cost more than the routing. */
  prompt: z.union([z.string(), z.array(z.unknown()).min(1)]),
  echo: z.boolean().nullish(),
  best_of: z.number().int().min(1).max(20).nullish(),
  logprobs: z.number().int().min(0).max(5).nullish(),
  suffix: z.string().nullish(),
});

export type CompletionsBody = z.output<typeof completionsSchema>;
