/** Sampling that OpenAI does not have and vLLM does: fields of the body, or of `nvext` as older clients of Dynamo send them. */
import * as z from 'zod';

const INT32_MAX = 0x7fff_ffff;

export const samplingExtensions = {
  top_k: z.number().int().min(-1).max(INT32_MAX).nullish(),
  repetition_penalty: z.number().gt(0).max(2).nullish(),
  ignore_eos: z.boolean().nullish(),
} as const;
