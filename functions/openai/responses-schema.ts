/**
 * The body of `POST /v1/responses` (https://platform.openai.com/docs/api-reference/responses/create). Text and functions
 * only: other content and other tools are refused by name in `functions/responses`. Fields that nobody knows are refused,
 * as those of chat completions are.
 */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { ownServiceFields, refused, sharedForeignFields } from './foreign-fields.ts';
import { guidedFields } from './guided-schema.ts';
import { samplingFields, tokenCount } from './sampling-schema.ts';

const name = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'expected letters, digits, _, - and ., at most 64');
const id = z.string().min(1).max(LIMITS.modelNameLength);
const record = z.record(z.string(), z.unknown());
const status = z.string().nullish();

const contentPart = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  refusal: z.string().optional(),
});
const content = z.union([z.string(), z.array(contentPart).max(LIMITS.messages)]);

const message = z.looseObject({
  type: z.literal('message').optional(),
  id: id.nullish(),
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content,
  status,
});

const functionCall = z.looseObject({
  type: z.literal('function_call'),
  id: id.nullish(),
  call_id: id,
  name,
  arguments: z.string(),
  status,
});

const functionCallOutput = z.looseObject({
  type: z.literal('function_call_output'),
  id: id.nullish(),
  call_id: id,
  output: content,
  status,
});

const textPart = z.looseObject({ type: z.string(), text: z.string() });
const reasoning = z.looseObject({
  type: z.literal('reasoning'),
  id: id.nullish(),
  summary: z.array(textPart).max(LIMITS.messages).nullish(),
  content: z.array(textPart).max(LIMITS.messages).nullish(),
  encrypted_content: z.string().nullish(),
  status,
});

const itemReference = z.looseObject({ type: z.literal('item_reference'), id });

/** `type` may be missing from a message alone. */
const inputItem = z.discriminatedUnion('type', [
  message,
  functionCall,
  functionCallOutput,
  reasoning,
  itemReference,
]);

export type InputItem = z.output<typeof inputItem>;
export type InputContent = z.output<typeof content>;

const tool = z.looseObject({
  type: z.string(),
  name: name.optional(),
  description: z.string().nullish(),
  parameters: record.nullish(),
  strict: z.boolean().nullish(),
});

const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.looseObject({ type: z.string(), name: z.string().optional() }),
]);

const format = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text') }),
  z.looseObject({ type: z.literal('json_object') }),
  z.looseObject({
    type: z.literal('json_schema'),
    name,
    schema: record,
    description: z.string().nullish(),
    strict: z.boolean().nullish(),
  }),
]);

/** What may be asked for beside the answer; log probabilities are all that there is of these here. */
const INCLUDABLE = [
  'message.output_text.logprobs',
  'reasoning.encrypted_content',
  'file_search_call.results',
  'web_search_call.results',
  'web_search_call.action.sources',
  'message.input_image.image_url',
  'computer_call_output.output.image_url',
  'code_interpreter_call.outputs',
] as const;

const { n: _n, max_tokens: _maxTokens, ...sampling } = samplingFields;

export const responsesSchema = z.strictObject({
  ...sampling,
  ...sharedForeignFields,
  ...guidedFields,
  ...ownServiceFields,
  prompt_cache_options: record.nullish(),
  conversation: refused("conversations are not served: use 'previous_response_id'."),
  prompt: refused('stored prompts are not served.'),
  context_management: refused("it is not served: use 'truncation'."),
  moderation: refused('moderation is not served.'),
  image: refused('images are not served.'),
  input: z.union([z.string(), z.array(inputItem).max(LIMITS.messages)]),
  instructions: z.string().nullish(),
  previous_response_id: id.nullish(),
  store: z.boolean().nullish(),
  background: z.boolean().nullish(),
  max_output_tokens: tokenCount.nullish(),
  tools: z.array(tool).max(LIMITS.tools).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z
    .looseObject({ format: format.nullish(), verbosity: z.enum(['low', 'medium', 'high']).nullish() })
    .nullish(),
  reasoning: z
    .looseObject({
      effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh']).nullish(),
      summary: z.enum(['auto', 'concise', 'detailed']).nullish(),
    })
    .nullish(),
  truncation: z.enum(['auto', 'disabled']).nullish(),
  include: z.array(z.enum(INCLUDABLE)).max(LIMITS.workerWords).nullish(),
  top_logprobs: z.number().int().min(0).max(LIMITS.topLogprobs).nullish(),
  metadata: z
    .record(z.string().max(LIMITS.metadataKeyLength), z.string().max(LIMITS.metadataValueLength))
    .nullish(),
  max_tool_calls: z.number().int().min(1).nullish(),
  chat_template_kwargs: record.nullish(),
});

export type ResponsesBody = z.output<typeof responsesSchema>;
