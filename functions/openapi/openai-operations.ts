/** The operations of OpenAI's API. */
import * as z from 'zod';
import { anthropicErrorSchema } from '../anthropic/answer-schema.ts';
import { anthropicModelListSchema, anthropicModelSchema } from '../anthropic/models.ts';
import { chatCompletionChunkSchema, chatCompletionSchema } from '../openai/chat-answer-schema.ts';
import { chatSchema } from '../openai/chat-schema.ts';
import { completionChunkSchema, completionSchema } from '../openai/completions-answer-schema.ts';
import { completionsSchema } from '../openai/completions-schema.ts';
import { errorSchema } from '../openai/error-schema.ts';
import { modelListSchema, modelSchema } from '../operations/models.ts';
import { type ApiOperation, named } from './operation.ts';
import { ROUTING_HEADERS } from './request-headers.ts';

const tag = 'OpenAI';

/** After the head is out, an error takes the place of the document, or of the next event. */
const orError = (schema: z.ZodType) => z.union([schema, errorSchema]);

export const OPENAI_OPERATIONS: readonly ApiOperation[] = [
  {
    method: 'post',
    path: '/v1/chat/completions',
    id: 'createChatCompletion',
    tag,
    summary: 'An answer to a chat',
    description: 'Streams when `stream` is true. A stream ends with `data: [DONE]`.',
    headers: ROUTING_HEADERS,
    request: { 'application/json': named('ChatCompletionRequest', chatSchema) },
    example: {
      model: 'stator-tiny',
      messages: [{ role: 'user', content: 'What is Stator?' }],
      stream: true,
    },
    answers: {
      200: {
        description: 'The answer, whole or as a stream',
        content: {
          'application/json': orError(chatCompletionSchema),
          'text/event-stream': orError(chatCompletionChunkSchema),
        },
      },
    },
  },
  {
    method: 'post',
    path: '/v1/completions',
    id: 'createCompletion',
    tag,
    summary: 'A continuation of a prompt',
    description: 'Streams when `stream` is true. A stream ends with `data: [DONE]`.',
    headers: ROUTING_HEADERS,
    request: { 'application/json': named('CompletionRequest', completionsSchema) },
    example: { model: 'stator-tiny', prompt: 'Stator is', max_tokens: 8 },
    answers: {
      200: {
        description: 'The continuation, whole or as a stream',
        content: {
          'application/json': orError(completionSchema),
          'text/event-stream': orError(completionChunkSchema),
        },
      },
    },
  },
  {
    method: 'get',
    path: '/v1/models',
    id: 'listModels',
    tag,
    summary: 'The models that are ready',
    answers: {
      200: {
        description: 'Models; in Anthropic’s form for requests with `anthropic-version`',
        content: {
          'application/json': z.union([named('ModelList', modelListSchema), anthropicModelListSchema]),
        },
      },
    },
    errors: z.union([errorSchema, anthropicErrorSchema]),
  },
  {
    method: 'get',
    path: '/v1/models/:id{.+}',
    id: 'retrieveModel',
    tag,
    summary: 'One model',
    answers: {
      200: {
        description: 'The model; in Anthropic’s form for requests with `anthropic-version`',
        content: { 'application/json': z.union([named('Model', modelSchema), anthropicModelSchema]) },
      },
    },
    errors: z.union([errorSchema, anthropicErrorSchema]),
  },
];
