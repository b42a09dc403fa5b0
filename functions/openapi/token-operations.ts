/** Operations on texts that generate nothing: vectors and tokens. */
import * as z from 'zod';
import { embeddingsAnswerSchema, embeddingsSchema } from '../embeddings/embeddings-schema.ts';
import { errorSchema } from '../openai/error-schema.ts';
import {
  detokenizeAnswerSchema,
  detokenizeSchema,
  tokenizeAnswerSchema,
  tokenizeSchema,
} from '../tokens/tokens-schema.ts';
import { type ApiOperation, named } from './operation.ts';
import { ROUTING_HEADERS } from './request-headers.ts';

export const TOKEN_OPERATIONS: readonly ApiOperation[] = [
  {
    method: 'post',
    path: '/v1/embeddings',
    id: 'createEmbedding',
    tag: 'OpenAI',
    summary: 'Vectors of texts',
    description: 'Vectors have length 1. Models that embed say so in `types` of `/v1/models`.',
    headers: ROUTING_HEADERS,
    request: { 'application/json': named('EmbeddingRequest', embeddingsSchema) },
    example: { model: 'stator-tiny', input: ['What is Stator?', 'a KV router'] },
    answers: {
      200: {
        description: 'A vector for each text',
        // After the head is out, an error takes the place of the document.
        content: {
          'application/json': z.union([named('EmbeddingList', embeddingsAnswerSchema), errorSchema]),
        },
      },
    },
  },
  {
    method: 'post',
    path: '/tokenize',
    id: 'tokenize',
    tag: 'Tokens',
    summary: 'The tokens of a prompt or a chat',
    request: { 'application/json': named('TokenizeRequest', tokenizeSchema) },
    example: { model: 'stator-tiny', prompt: 'What is Stator?' },
    answers: {
      200: {
        description: 'The tokens',
        content: { 'application/json': named('Tokens', tokenizeAnswerSchema) },
      },
    },
  },
  {
    method: 'post',
    path: '/detokenize',
    id: 'detokenize',
    tag: 'Tokens',
    summary: 'The text of tokens',
    request: { 'application/json': named('DetokenizeRequest', detokenizeSchema) },
    example: { model: 'stator-tiny', tokens: [1, 2, 3] },
    answers: {
      200: { description: 'The text', content: { 'application/json': detokenizeAnswerSchema } },
    },
  },
];
