/**
 * What `/v1/responses` and its operations answer, and the events of a stream. No code parses them: sidecars write them as
 * bytes. They are published (`/openapi.json`), and every answer of the end-to-end tests is held against them.
 */
import * as z from 'zod';
import { RESPONSE_STATES } from '../../durable/conversations/rpc.ts';
import { named } from '../openapi/operation.ts';

const count = z.number().int().min(0);
const id = z.string().min(1);
const itemStatus = z.enum(['in_progress', 'completed', 'incomplete']);

const namedToken = {
  token: z.string(),
  logprob: z.number().max(0),
  bytes: z.array(z.number().int().min(0).max(255)),
};
const logprobs = z.array(z.object({ ...namedToken, top_logprobs: z.array(z.object(namedToken)) }));

const outputText = z.object({
  type: z.literal('output_text'),
  annotations: z.array(z.never()),
  logprobs,
  text: z.string(),
});
const reasoningText = z.object({ type: z.literal('reasoning_text'), text: z.string() });
const contentPart = z.discriminatedUnion('type', [outputText, reasoningText]);

const outputItem = named(
  'ResponseOutputItem',
  z.discriminatedUnion('type', [
    z.object({
      id,
      type: z.literal('message'),
      status: itemStatus,
      role: z.literal('assistant'),
      content: z.array(outputText),
    }),
    z.object({
      id,
      type: z.literal('reasoning'),
      status: itemStatus,
      summary: z.array(z.never()),
      content: z.array(reasoningText),
    }),
    z.object({
      id,
      type: z.literal('function_call'),
      status: itemStatus,
      call_id: id,
      name: z.string(),
      arguments: z.string(),
    }),
  ]),
);

export const responseSchema = named(
  'Response',
  z.object({
    id,
    object: z.literal('response'),
    created_at: count,
    status: z.enum(RESPONSE_STATES),
    error: z.object({ code: z.literal('server_error'), message: z.string() }).nullable(),
    incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
    model: id,
    background: z.boolean(),
    instructions: z.string().nullable(),
    max_output_tokens: count.nullable(),
    max_tool_calls: count.nullable(),
    metadata: z.record(z.string(), z.string()),
    parallel_tool_calls: z.boolean(),
    previous_response_id: id.nullable(),
    reasoning: z.object({ effort: z.string().nullable(), summary: z.string().nullable() }),
    service_tier: z.literal('default'),
    store: z.boolean(),
    temperature: z.number(),
    text: z.object({ format: z.looseObject({ type: z.string() }), verbosity: z.string() }),
    tool_choice: z.union([z.string(), z.looseObject({ type: z.string() })]),
    tools: z.array(z.looseObject({ type: z.string() })),
    top_logprobs: count,
    top_p: z.number(),
    truncation: z.enum(['auto', 'disabled']),
    user: z.string().nullable(),
    output: z.array(outputItem),
    usage: z
      .object({
        input_tokens: count,
        output_tokens: count,
        total_tokens: count,
        output_tokens_details: z.object({ reasoning_tokens: count }),
        input_tokens_details: z.object({ cached_tokens: count }),
      })
      .nullable(),
  }),
);

const event = <Type extends string, Members extends z.ZodRawShape>(type: Type, members: Members) =>
  z.object({ type: z.literal(type), sequence_number: count, ...members });

const place = { item_id: id, output_index: count };
const inPart = { ...place, content_index: count };
const item = { output_index: count, item: outputItem };
const whole = { response: responseSchema };

export const responseEventSchema = named(
  'ResponseStreamEvent',
  z.discriminatedUnion('type', [
    event('response.created', whole),
    event('response.in_progress', whole),
    event('response.completed', whole),
    event('response.incomplete', whole),
    event('response.failed', whole),
    event('response.output_item.added', item),
    event('response.output_item.done', item),
    event('response.content_part.added', { ...inPart, part: contentPart }),
    event('response.content_part.done', { ...inPart, part: contentPart }),
    event('response.output_text.delta', { ...inPart, delta: z.string(), logprobs }),
    event('response.output_text.done', { ...inPart, text: z.string(), logprobs }),
    event('response.reasoning_text.delta', { ...inPart, delta: z.string() }),
    event('response.reasoning_text.done', { ...inPart, text: z.string() }),
    event('response.function_call_arguments.delta', { ...place, delta: z.string() }),
    event('response.function_call_arguments.done', { ...place, name: z.string(), arguments: z.string() }),
    event('error', { code: z.string(), message: z.string(), param: z.string().nullable() }),
  ]),
);

export const inputItemsSchema = named(
  'ResponseInputItems',
  z.object({
    object: z.literal('list'),
    data: z.array(z.looseObject({ id, type: z.string() })),
    first_id: id.nullable(),
    last_id: id.nullable(),
    has_more: z.boolean(),
  }),
);

export const deletedSchema = named(
  'DeletedResponse',
  z.object({ id, object: z.literal('response'), deleted: z.literal(true) }),
);
