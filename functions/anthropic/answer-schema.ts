/** What Anthropic's endpoints answer: the message, the events of its stream, the count, and errors. */
import * as z from 'zod';
import { named } from '../openapi/operation.ts';

const count = z.number().int().min(0);

const usage = named(
  'AnthropicUsage',
  z.object({
    cache_read_input_tokens: count,
    cache_creation_input_tokens: count,
    input_tokens: count,
    output_tokens: count,
  }),
);

const stop = {
  stop_reason: z.enum([
    'end_turn',
    'max_tokens',
    'stop_sequence',
    'tool_use',
    'model_context_window_exceeded',
  ]),
  stop_sequence: z.string().nullable(),
};

const block = named(
  'AnthropicContentBlock',
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('text'), text: z.string() }),
    z.object({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() }),
    z.object({
      type: z.literal('tool_use'),
      id: z.string().min(1),
      name: z.string().min(1),
      input: z.record(z.string(), z.unknown()),
    }),
  ]),
);

const head = {
  id: z.string().min(1),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string(),
};

export const messageSchema = named(
  'AnthropicMessage',
  z.object({ ...head, content: z.array(block), ...stop, usage }),
);

const delta = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text_delta'), text: z.string() }),
  z.object({ type: z.literal('thinking_delta'), thinking: z.string() }),
  z.object({ type: z.literal('signature_delta'), signature: z.string() }),
  z.object({ type: z.literal('input_json_delta'), partial_json: z.string() }),
]);

const begun = z.object({
  ...head,
  content: z.array(block).max(0),
  stop_reason: z.null(),
  stop_sequence: z.null(),
  usage,
});

export const anthropicErrorSchema = named(
  'AnthropicError',
  z.object({
    type: z.literal('error'),
    error: z.object({
      type: z.string().min(1),
      message: z.string().min(1),
      details: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
    }),
    request_id: z.string().optional(),
  }),
);

export const messageEventSchema = named(
  'AnthropicMessageEvent',
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('message_start'), message: begun }),
    z.object({ type: z.literal('content_block_start'), index: count, content_block: block }),
    z.object({ type: z.literal('content_block_delta'), index: count, delta }),
    z.object({ type: z.literal('content_block_stop'), index: count }),
    z.object({ type: z.literal('message_delta'), delta: z.object(stop), usage }),
    z.object({ type: z.literal('message_stop') }),
    z.object({ type: z.literal('ping') }),
  ]),
);

export const tokenCountSchema = named('AnthropicTokenCount', z.object({ input_tokens: count }));
