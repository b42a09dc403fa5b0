/**
 * The unary methods of the Worker service, by name: message types and what answers. Both listeners serve this table.
 */

import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import {
  ClearKvBlocksRequestSchema,
  ClearKvBlocksResponseSchema,
  DetokenizeRequestSchema,
  DetokenizeResponseSchema,
  DrainRequestSchema,
  DrainResponseSchema,
  EmbedRequestSchema,
  EmbedResponseSchema,
  GetArtifactRequestSchema,
  GetArtifactResponseSchema,
  HealthRequestSchema,
  HealthResponseSchema,
  TokenizeRequestSchema,
  TokenizeResponseSchema,
} from '../../proto/gen/stator/v1/worker_pb.js';
import type { Worker } from '../worker.ts';
import { clearKvBlocks } from './clear-kv-blocks.ts';
import { detokenize } from './detokenize.ts';
import { drain } from './drain.ts';
import { embed } from './embed.ts';
import { getArtifact } from './get-artifact.ts';
import { health } from './health.ts';
import { tokenize } from './tokenize.ts';

export interface UnaryMethod {
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly run: Run<never, MessageShape<DescMessage>>;
}

/** Throws StatorError. `gone` aborts when the caller has left before it was answered. */
type Run<In, Out> = (worker: Worker, request: In, gone: AbortSignal) => Out | Promise<Out>;

/** Checks a method against its message types. */
const unary = <In extends DescMessage, Out extends DescMessage>(
  input: In,
  output: Out,
  run: Run<MessageShape<In>, MessageShape<Out>>,
): UnaryMethod => ({ input, output, run });

export const UNARY_METHODS: Readonly<Record<string, UnaryMethod>> = {
  Tokenize: unary(TokenizeRequestSchema, TokenizeResponseSchema, tokenize),
  Detokenize: unary(DetokenizeRequestSchema, DetokenizeResponseSchema, detokenize),
  Embed: unary(EmbedRequestSchema, EmbedResponseSchema, embed),
  GetArtifact: unary(GetArtifactRequestSchema, GetArtifactResponseSchema, getArtifact),
  ClearKvBlocks: unary(ClearKvBlocksRequestSchema, ClearKvBlocksResponseSchema, clearKvBlocks),
  Health: unary(HealthRequestSchema, HealthResponseSchema, health),
  Drain: unary(DrainRequestSchema, DrainResponseSchema, drain),
};
