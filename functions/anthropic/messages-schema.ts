/**
 * The bodies of `POST /v1/messages` and `POST /v1/messages/count_tokens`, with the ranges of Anthropic's reference
 * (https://docs.claude.com/en/api/messages). Unknown fields are accepted and ignored: clients send those of many betas.
 * `cache_control` may stand everywhere; prefixes are cached without it.
 */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { nvext } from '../openai/nvext.ts';

const INT32_MAX = 0x7fff_ffff;
const LEAST_THINKING_TOKENS = 1024;

const record = z.record(z.string(), z.unknown());
const cacheControl = z
  .looseObject({ type: z.literal('ephemeral'), ttl: z.enum(['5m', '1h']).nullish() })
  .nullish();

const textBlock = z.looseObject({ type: z.literal('text'), text: z.string(), cache_control: cacheControl });

/** What a model of text cannot read; refused by name in `messages-request.ts`. */
const unreadable = ['image', 'document', 'search_result'] as const;
const unreadableBlock = z.looseObject({ type: z.enum(unreadable) });

const block = z.discriminatedUnion('type', [
  textBlock,
  z.looseObject({
    type: z.literal('tool_use'),
    id: z.string().min(1),
    name: z.string().min(1),
    input: record,
    cache_control: cacheControl,
  }),
  z.looseObject({
    type: z.literal('tool_result'),
    tool_use_id: z.string().min(1),
    content: z
      .union([z.string(), z.array(z.discriminatedUnion('type', [textBlock, unreadableBlock]))])
      .nullish(),
    is_error: z.boolean().nullish(),
    cache_control: cacheControl,
  }),
  z.looseObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string().nullish() }),
  z.looseObject({ type: z.literal('redacted_thinking'), data: z.string() }),
  unreadableBlock,
]);

/** The system may speak between turns, too. */
const message = z.looseObject({
  role: z.enum(['user', 'assistant', 'system']),
  content: z.union([z.string(), z.array(block)]),
});

/** Tools that Anthropic's servers run themselves have another `type`; refused by name in `tools-request.ts`. */
const tool = z.looseObject({
  type: z.string().nullish(),
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/, 'expected letters, digits, _ and -, at most 128'),
  description: z.string().nullish(),
  input_schema: record.nullish(),
  cache_control: cacheControl,
});

const oneAtATime = { disable_parallel_tool_use: z.boolean().nullish() };
const toolChoice = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('auto'), ...oneAtATime }),
  z.looseObject({ type: z.literal('any'), ...oneAtATime }),
  z.looseObject({ type: z.literal('tool'), name: z.string(), ...oneAtATime }),
  z.looseObject({ type: z.literal('none') }),
]);

const display = z.enum(['summarized', 'omitted']).nullish();
const thinking = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('enabled'),
    budget_tokens: z.number().int().min(LEAST_THINKING_TOKENS).max(INT32_MAX),
    display,
  }),
  z.looseObject({ type: z.literal('adaptive'), display }),
  z.looseObject({ type: z.literal('between_tools') }),
  z.looseObject({ type: z.literal('disabled') }),
]);

const jsonFormat = z.looseObject({ type: z.literal('json_schema'), schema: record });

const promptFields = {
  model: z.string().min(1).max(LIMITS.modelNameLength),
  messages: z.array(message).min(1, 'at least one message is required').max(LIMITS.messages),
  system: z.union([z.string(), z.array(textBlock).max(LIMITS.messages)]).nullish(),
  tools: z.array(tool).max(LIMITS.tools).nullish(),
  tool_choice: toolChoice.nullish(),
  thinking: thinking.nullish(),
  output_config: z
    .looseObject({
      effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
      format: jsonFormat.nullish(),
    })
    .nullish(),
  cache_control: cacheControl,
  mcp_servers: z.array(z.unknown()).nullish(),
  container: z.unknown().optional(),
  thread: z.unknown().optional(),
} as const;

export const countTokensSchema = z.looseObject(promptFields);

export const messagesSchema = z.looseObject({
  ...promptFields,
  max_tokens: z.number().int().min(1).max(INT32_MAX),
  stop_sequences: z.array(z.string().min(1).max(LIMITS.stopStringLength)).max(LIMITS.stopStrings).nullish(),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.number().int().min(0).max(INT32_MAX).nullish(),
  metadata: z.looseObject({ user_id: z.string().nullish() }).nullish(),
  service_tier: z.enum(['auto', 'standard_only']).nullish(),

  nvext,
  cache_salt: z.string().min(1).max(LIMITS.modelNameLength).nullish(),
  priority: z.number().int().min(-INT32_MAX).max(INT32_MAX).nullish(),
  ignore_eos: z.boolean().nullish(),
});

export type PromptBody = z.output<typeof countTokensSchema>;
export type MessagesBody = z.output<typeof messagesSchema>;
export type MessageParam = PromptBody['messages'][number];
export type Block = z.output<typeof block>;
