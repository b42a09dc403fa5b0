/**
 * The unary methods of the Worker service, by name: message types and what answers. Both listeners serve this table.
 */

import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import {
  ClearKvBlocksRequestSchema,
  ClearKvBlocksResponseSchema,
  DrainRequestSchema,
  DrainResponseSchema,
  GetArtifactRequestSchema,
  GetArtifactResponseSchema,
  HealthRequestSchema,
  HealthResponseSchema,
  TokenizeRequestSchema,
  TokenizeResponseSchema,
} from '../../proto/gen/stator/v1/worker_pb.js';
import type { Worker } from '../worker.ts';
import { clearKvBlocks } from './clear-kv-blocks.ts';
import { drain } from './drain.ts';
import { getArtifact } from './get-artifact.ts';
import { health } from './health.ts';
import { tokenize } from './tokenize.ts';

export interface UnaryMethod {
  readonly input: DescMessage;
  readonly output: DescMessage;
  /** Throws StatorError. */
  readonly run: (worker: Worker, request: never) => MessageShape<DescMessage>;
}

/** Checks a method against its message types. */
const unary = <In extends DescMessage, Out extends DescMessage>(
  input: In,
  output: Out,
  run: (worker: Worker, request: MessageShape<In>) => MessageShape<Out>,
): UnaryMethod => ({ input, output, run });

export const UNARY_METHODS: Readonly<Record<string, UnaryMethod>> = {
  Tokenize: unary(TokenizeRequestSchema, TokenizeResponseSchema, tokenize),
  GetArtifact: unary(GetArtifactRequestSchema, GetArtifactResponseSchema, getArtifact),
  ClearKvBlocks: unary(ClearKvBlocksRequestSchema, ClearKvBlocksResponseSchema, clearKvBlocks),
  Health: unary(HealthRequestSchema, HealthResponseSchema, health),
  Drain: unary(DrainRequestSchema, DrainResponseSchema, drain),
};
