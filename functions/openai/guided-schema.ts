/**
 * The fields by which a client asks for a form of its answer: OpenAI's `response_format`, vLLM's `guided_*` and their
 * successor `structured_outputs`; Dynamo has `guided_*` in `nvext`, too. What they mean is read in `response-format.ts`.
 */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';

const schema = z.record(z.string(), z.unknown());
const text = z.string().min(1).max(LIMITS.grammarBytes);
const choices = z.array(z.string().min(1)).min(1).max(LIMITS.grammarChoices);
/** A JSON schema, or its text. */
const json = z.union([schema, text]);

const responseFormat = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text') }),
  z.looseObject({ type: z.literal('json_object') }),
  z.looseObject({
    type: z.literal('json_schema'),
    json_schema: z.looseObject({
      name: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'expected letters, digits, _, - and ., at most 64'),
      schema: schema.nullish(),
      strict: z.boolean().nullish(),
    }),
  }),
]);

export const guidedFields = {
  guided_json: json.nullish(),
  guided_regex: text.nullish(),
  guided_choice: choices.nullish(),
  guided_grammar: text.nullish(),
};

export const formatFields = {
  response_format: responseFormat.nullish(),
  ...guidedFields,
  structured_outputs: z
    .strictObject({
      json: json.nullish(),
      regex: text.nullish(),
      choice: choices.nullish(),
      grammar: text.nullish(),
      json_object: z.boolean().nullish(),
    })
    .nullish(),
};

const guided = z.object(guidedFields);
const format = z.object(formatFields);
export type GuidedFields = z.output<typeof guided>;
export type FormatFields = z.output<typeof format> & { nvext?: Partial<GuidedFields> | null | undefined };
