/**
 * The fields that chat completions and completions share, with the ranges of OpenAI's reference
 * (https://platform.openai.com/docs/api-reference/chat/create) and vLLM's extra sampling fields.
 * Null means absent.
 */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { nvext } from './nvext.ts';
import { samplingExtensions } from './sampling-extensions.ts';

const INT32_MAX = 0x7fff_ffff;
const tokenId = z.number().int().min(0).max(0xffff_ffff);

export const tokenCount = z.number().int().min(1).max(INT32_MAX);

export const samplingFields = {
  model: z.string().min(1).max(LIMITS.modelNameLength),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  n: z.number().int().min(1).max(LIMITS.choices).nullish(),
  seed: z.number().int().nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^\d{1,10}$/), z.number().min(-100).max(100)).nullish(),
  max_tokens: tokenCount.nullish(),
  stop: z.union([stopString(), z.array(stopString()).max(LIMITS.stopStrings)]).nullish(),
  user: z.string().nullish(),

  ...samplingExtensions,
  min_p: z.number().min(0).max(1).nullish(),
  min_tokens: z.number().int().min(0).max(INT32_MAX).nullish(),
  stop_token_ids: z.array(tokenId).max(LIMITS.stopStrings).nullish(),
  nvext,
  cache_salt: z.string().min(1).max(LIMITS.modelNameLength).nullish(),
  priority: z.number().int().min(-INT32_MAX).max(INT32_MAX).nullish(),
} as const;

function stopString() {
  return z.string().min(1).max(LIMITS.stopStringLength);
}

const samplingSchema = z.object(samplingFields);
export type SamplingBody = z.output<typeof samplingSchema>;
