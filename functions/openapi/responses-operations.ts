/** The operations of OpenAI's Responses, and the one by which workers store them. */
import * as z from 'zod';
import { errorSchema } from '../openai/error-schema.ts';
import {
  deletedSchema,
  inputItemsSchema,
  responseEventSchema,
  responseSchema,
} from '../openai/responses-answer-schema.ts';
import { responsesSchema } from '../openai/responses-schema.ts';
import { storeQuery } from '../responses/store-route.ts';
import { inputItemsQuery } from '../responses/stored.ts';
import { type ApiOperation, named } from './operation.ts';
import { ROUTING_HEADERS } from './request-headers.ts';

const tag = 'OpenAI';

const theResponse = { description: 'The response', content: { 'application/json': responseSchema } };

export const RESPONSES_OPERATIONS: readonly ApiOperation[] = [
  {
    method: 'post',
    path: '/v1/responses',
    id: 'createResponse',
    tag,
    summary: 'An answer to a conversation, which is stored',
    description:
      'Stored for 30 days unless `store` is false. `previous_response_id` continues a stored one. Streams when `stream` is true: named events; a stream ends with `data: [DONE]`. With `background` the answer is computed without a client.',
    headers: ROUTING_HEADERS,
    request: { 'application/json': named('CreateResponseRequest', responsesSchema) },
    example: { model: 'stator-tiny', input: 'What is Stator?', max_output_tokens: 32 },
    answers: {
      200: {
        description: 'The answer, whole or as a stream',
        content: {
          // After the head is out, an error takes the place of the document.
          'application/json': z.union([responseSchema, errorSchema]),
          'text/event-stream': responseEventSchema,
        },
      },
    },
  },
  {
    method: 'post',
    path: '/v1/responses/:id/cancel',
    id: 'cancelResponse',
    tag,
    summary: 'Stops a response in the background',
    answers: { 200: theResponse },
  },
  {
    method: 'get',
    path: '/v1/responses/:id/input_items',
    id: 'listResponseInputItems',
    tag,
    summary: 'The input items that came with a stored response',
    query: inputItemsQuery.shape,
    answers: { 200: { description: 'Items', content: { 'application/json': inputItemsSchema } } },
  },
  {
    method: 'get',
    path: '/v1/responses/:id',
    id: 'retrieveResponse',
    tag,
    summary: 'A stored response',
    answers: { 200: theResponse },
  },
  {
    method: 'delete',
    path: '/v1/responses/:id',
    id: 'deleteResponse',
    tag,
    summary: 'Deletes a stored response; one in the background is stopped',
    answers: { 200: { description: 'Deleted', content: { 'application/json': deletedSchema } } },
  },
  {
    method: 'put',
    path: '/fleet/v1/responses/:id',
    id: 'storeResponse',
    tag: 'Platform',
    summary: 'A worker tells what is to be stored of a response',
    access: 'fleet-token',
    query: storeQuery.shape,
    request: { 'application/json': z.looseObject({ object: z.literal('response') }) },
    example: { object: 'response' },
    answers: {
      200: {
        description: 'Whether somebody still wanted it',
        content: { 'application/json': z.object({ stored: z.boolean() }) },
      },
    },
  },
];
