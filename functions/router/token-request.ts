/**
 * Bodies of the router's own endpoints, `POST /router/generate` and `POST /router/best_worker_id`: Dynamo's
 * PreprocessedRequest as far as it means something here, for callers that tokenise themselves. Unknown fields are refused.
 */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { InferenceRequest, RoutingWishes } from '../inference-request.ts';
import { routingFields, routingOf, wishesOf } from '../openai/nvext.ts';
import { parseBody } from '../openai/parse.ts';
import { samplingOf, stopOf } from '../openai/sampling-request.ts';
import { samplingFields, tokenCount } from '../openai/sampling-schema.ts';
import { tokenPrompt } from '../openai/token-prompt.ts';

const sampling = z.strictObject(samplingFields);
const samplingOptions = sampling.pick({
  temperature: true,
  top_p: true,
  top_k: true,
  min_p: true,
  seed: true,
  presence_penalty: true,
  frequency_penalty: true,
  repetition_penalty: true,
  logit_bias: true,
});
const stopConditions = sampling.pick({
  max_tokens: true,
  min_tokens: true,
  stop: true,
  stop_token_ids: true,
  ignore_eos: true,
});

/** The elements are checked below: zod per token id would cost more than the routing. */
const tokenIds = z.array(z.unknown()).min(1);
const name = z.string().min(1).max(LIMITS.modelNameLength);

const routing = z.strictObject({
  ...routingFields,
  cache_namespace: name.nullish(),
  expected_output_tokens: tokenCount.nullish(),
  priority_jump: z.number().nullish(),
  strict_priority: z.number().int().min(0).max(0xffff_ffff).nullish(),
});

const shared = {
  model: samplingFields.model,
  token_ids: tokenIds,
  router_config_override: routingFields.router_config_override,
  routing_constraints: routingFields.routing_constraints,
  lora_name: routingFields.lora_name,
  cache_namespace: name.nullish(),
};

export const bestWorkerSchema = z.strictObject({
  ...shared,
  ...routingFields,
  request_id: z.string().nullish(),
});

export const generateSchema = z.strictObject({
  ...shared,
  stream: z.boolean().nullish(),
  request_id: z.string().nullish(),
  annotations: z.array(name).max(LIMITS.workerWords).nullish(),
  stop_conditions: stopConditions.nullish(),
  sampling_options: samplingOptions.nullish(),
  routing: routing.nullish(),
});

/** Nothing runs; the answer is the decision. */
export function bestWorkerRequest(json: unknown): InferenceRequest {
  const body = parseBody(bestWorkerSchema, json);
  return requestOf(body, { ...wishesOf(body), queryOnly: true, explain: true });
}

/** Streams unless told otherwise, as Dynamo's endpoint does. */
export function generateRequest(json: unknown): InferenceRequest {
  const body = parseBody(generateSchema, json);
  const { routing, annotations, stop_conditions, sampling_options } = body;
  const wishes = { ...wishesOf(body), ...(routing == null ? {} : wishesOf(routing)) };
  if (routing?.expected_output_tokens != null) wishes.expectedOutputTokens = routing.expected_output_tokens;
  if (routing?.cache_namespace != null) wishes.cacheNamespace = routing.cache_namespace;
  if (routingOf({ nvext: { annotations } })?.queryOnly) wishes.queryOnly = true;
  const request = requestOf(body, wishes);
  request.sampling = samplingOf({ model: body.model, ...sampling_options });
  const conditions = { model: body.model, ...stop_conditions };
  request.stop = stopOf(conditions, stop_conditions?.max_tokens ?? null);
  request.stream = body.stream ?? true;
  if (routing?.priority_jump != null || routing?.strict_priority != null) {
    request.agentHints = {
      priority: routing.priority_jump ?? 0,
      strictPriority: routing.strict_priority ?? 0,
    };
  }
  return request;
}

function requestOf(
  body: { model: string; token_ids: unknown[]; cache_namespace?: string | null | undefined },
  wishes: RoutingWishes,
): InferenceRequest {
  if (body.cache_namespace != null) wishes.cacheNamespace ??= body.cache_namespace;
  return {
    model: body.model,
    prompt: tokenPrompt(body.token_ids, 'token_ids'),
    sampling: samplingOf({ model: body.model }),
    stop: stopOf({ model: body.model }, null),
    stream: false,
    includeUsage: false,
    echo: false,
    priority: 0,
    agentHints: null,
    tools: null,
    grammar: null,
    routing: wishes,
  };
}
