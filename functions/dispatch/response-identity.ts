/**
 * What must be the same in every attempt of a request: the response's id, its time and the seed.
 */
import { Dialect } from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import type { Call, Endpoint } from '../call.ts';
import type { InferenceRequest } from '../inference-request.ts';

export interface ResponseIdentity {
  responseId: string;
  /** Unix seconds. */
  created: number;
  seed: bigint;
  dialect: Dialect;
}

const FORMS: Record<Endpoint, { prefix: string; dialect: Dialect }> = {
  chat_completions: { prefix: 'chatcmpl-', dialect: Dialect.OPENAI_CHAT },
  completions: { prefix: 'cmpl-', dialect: Dialect.OPENAI_COMPLETION },
  router_generate: { prefix: 'cmpl-', dialect: Dialect.OPENAI_COMPLETION },
  messages: { prefix: 'msg_', dialect: Dialect.ANTHROPIC_MESSAGES },
  responses: { prefix: 'resp_', dialect: Dialect.OPENAI_RESPONSES },
  // Never sent to a worker.
  count_tokens: { prefix: 'msg_', dialect: Dialect.UNSPECIFIED },
  best_worker_id: { prefix: 'query-', dialect: Dialect.UNSPECIFIED },
};

export function responseIdentity(call: Call, request: InferenceRequest): ResponseIdentity {
  const { prefix, dialect } = FORMS[call.endpoint];
  const hex = call.uuid.replaceAll('-', '');
  return {
    responseId: request.record?.responseId ?? prefix + hex,
    created: Math.floor(call.startedMs / 1000),
    // The last 16 digits of a UUIDv7 are 62 random bits.
    seed: request.sampling.seed ?? BigInt(`0x${hex.slice(16)}`),
    dialect,
  };
}
