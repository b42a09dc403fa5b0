/** Models in Anthropic's form (https://docs.claude.com/en/api/models-list), for clients that send `anthropic-version`. */
import * as z from 'zod';
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { named } from '../openapi/operation.ts';

export const anthropicModelSchema = named(
  'AnthropicModel',
  z.object({
    type: z.literal('model'),
    id: z.string(),
    display_name: z.string(),
    created_at: z.iso.datetime(),
  }),
);

export const anthropicModelListSchema = named(
  'AnthropicModelList',
  z.object({
    data: z.array(anthropicModelSchema),
    has_more: z.literal(false),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
  }),
);

type AnthropicModel = z.output<typeof anthropicModelSchema>;

export const anthropicModel = ({ name, createdMs }: ModelEntry): AnthropicModel => ({
  type: 'model',
  id: name,
  display_name: name,
  created_at: new Date(createdMs).toISOString(),
});

/** One page has them all. */
export function anthropicModelList(models: readonly ModelEntry[]): z.output<typeof anthropicModelListSchema> {
  const data = models.map(anthropicModel);
  return { data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
}
