/** The operations of Anthropic's API. */
import * as z from 'zod';
import {
  anthropicErrorSchema,
  messageEventSchema,
  messageSchema,
  tokenCountSchema,
} from '../anthropic/answer-schema.ts';
import { countTokensSchema, messagesSchema } from '../anthropic/messages-schema.ts';
import { type ApiOperation, named } from './operation.ts';
import { ROUTING_HEADERS } from './request-headers.ts';

const tag = 'Anthropic';

/** After the head is out, an error takes the place of the document, or of the next event. */
const orError = (schema: z.ZodType) => z.union([schema, anthropicErrorSchema]);

const example = { model: 'stator-tiny', messages: [{ role: 'user', content: 'What is Stator?' }] };

export const ANTHROPIC_OPERATIONS: readonly ApiOperation[] = [
  {
    method: 'post',
    path: '/v1/messages',
    id: 'createMessage',
    tag,
    summary: 'An answer to a chat',
    description: 'Streams when `stream` is true: named events, of which `message_stop` is the last.',
    headers: ROUTING_HEADERS,
    request: { 'application/json': named('AnthropicMessageRequest', messagesSchema) },
    example: { ...example, max_tokens: 64, stream: true },
    answers: {
      200: {
        description: 'The answer, whole or as a stream',
        content: {
          'application/json': orError(messageSchema),
          'text/event-stream': orError(messageEventSchema),
        },
      },
    },
    errors: anthropicErrorSchema,
  },
  {
    method: 'post',
    path: '/v1/messages/count_tokens',
    id: 'countMessageTokens',
    tag,
    summary: 'How many tokens a chat has',
    request: { 'application/json': named('AnthropicCountTokensRequest', countTokensSchema) },
    example,
    answers: { 200: { description: 'The count', content: { 'application/json': tokenCountSchema } } },
    errors: anthropicErrorSchema,
  },
];
