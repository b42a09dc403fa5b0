/**
 * The messages of the router's gRPC service (`router.proto`) as the bodies of its JSON endpoints and back, so that both
 * are checked and served by the same code.
 */
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { StatorError } from '../../durable/runtime/errors.ts';
import {
  BestWorkerIdRequestSchema,
  BestWorkerIdResponseSchema,
  GetPoolInfoResponseSchema,
  RouterGenerateRequestSchema,
  type Routing,
} from '../../gpu-sidecar/proto/gen/stator/v1/router_pb.js';
import type { Explanation } from '../dispatch/explanation.ts';
import type { PoolInfo } from '../operations/pool-info.ts';

/** Throws `invalid_frame`. */
export function bestWorkerBody(bytes: Uint8Array): object {
  const { model, tokenIds, routing } = decoded(BestWorkerIdRequestSchema, bytes);
  return { model, token_ids: words(tokenIds), ...routingBody(routing) };
}

/** Throws `invalid_frame`. */
export function generateBody(bytes: Uint8Array): object {
  const message = decoded(RouterGenerateRequestSchema, bytes);
  const { model, tokenIds, routing, sampling, stop, unary } = message;
  return {
    model,
    token_ids: words(tokenIds),
    stream: !unary,
    routing: {
      ...routingBody(routing),
      expected_output_tokens: routing?.expectedOutputTokens,
    },
    sampling_options: sampling && {
      temperature: sampling.temperature,
      top_p: sampling.topP || 1,
      top_k: sampling.topK,
      min_p: sampling.minP,
      seed: sampling.seed === 0n ? undefined : Number(BigInt.asUintN(53, sampling.seed)),
      presence_penalty: sampling.presencePenalty,
      frequency_penalty: sampling.frequencyPenalty,
      repetition_penalty: sampling.repetitionPenalty || 1,
      logit_bias: sampling.logitBias,
    },
    stop_conditions: stop && {
      max_tokens: stop.maxTokens || undefined,
      min_tokens: stop.minTokens,
      stop: stop.stop,
      stop_token_ids: words(stop.stopTokenIds),
      ignore_eos: stop.ignoreEos,
    },
  };
}

export function bestWorkerMessage(answer: Explanation): Uint8Array {
  const message = create(BestWorkerIdResponseSchema, {
    workerId: answer.worker,
    dpRank: answer.dp_rank,
    overlapBlocks: answer.overlap_blocks,
    cachedTokens: answer.cached_tokens,
    candidates: answer.candidates.map((candidate) => ({
      worker: candidate.worker,
      dpRank: candidate.dp_rank,
      cost: candidate.cost,
      deviceBlocks: candidate.device_blocks,
      hostBlocks: candidate.host_blocks,
      diskBlocks: candidate.disk_blocks,
      sharedBlocks: candidate.shared_blocks,
      activePrefillTokens: candidate.active_prefill_tokens,
      potentialDecodeBlocks: candidate.potential_decode_blocks,
      activeRequests: candidate.active_requests,
      preferredTaintMultiplier: candidate.preferred_taint_multiplier,
    })),
  });
  return toBinary(BestWorkerIdResponseSchema, message);
}

export function poolInfoMessage({ model_name, mode, enable_priority_retry, pools }: PoolInfo): Uint8Array {
  const message = create(GetPoolInfoResponseSchema, {
    modelName: model_name ?? '',
    mode,
    enablePriorityRetry: enable_priority_retry,
    pools: pools.map(({ pool, roles, base_url, selected, retried, overflow, failures, ...known }) => ({
      pool,
      roles,
      baseUrl: base_url ?? '',
      selected: BigInt(selected),
      retried: BigInt(retried),
      overflow: BigInt(overflow),
      failures: Object.fromEntries(Object.entries(failures).map(([code, count]) => [code, BigInt(count)])),
      ...(known.priority !== null && { priority: known.priority }),
      ...(known.live_workers !== null && { liveWorkers: known.live_workers }),
      ...(known.in_flight !== null && { inFlight: known.in_flight }),
      ...(known.waiting !== null && { waiting: known.waiting }),
    })),
  });
  return toBinary(GetPoolInfoResponseSchema, message);
}

/** Without what is not set: empty strings and lists wish nothing. */
function routingBody(routing: Routing | undefined): object {
  if (routing === undefined) return {};
  const override = routing.routerConfigOverride;
  return {
    backend_instance_id: routing.backendInstanceId || undefined,
    dp_rank: routing.dpRank,
    allowed_worker_ids: routing.allowedWorkerIds.length > 0 ? routing.allowedWorkerIds : undefined,
    routing_constraints: {
      required_taints: routing.requiredTaints.length > 0 ? routing.requiredTaints : undefined,
      preferred_taints: Object.keys(routing.preferredTaints).length > 0 ? routing.preferredTaints : undefined,
    },
    lora_name: routing.loraName || undefined,
    session_id: routing.sessionId || undefined,
    cache_namespace: routing.cacheNamespace || undefined,
    router_config_override: override && {
      overlap_score_credit: override.overlapScoreCredit,
      overlap_score_weight: override.overlapScoreWeight,
      prefill_load_scale: override.prefillLoadScale,
      router_temperature: override.routerTemperature,
      shared_cache_multiplier: override.sharedCacheMultiplier,
      assume_kv_reuse: override.assumeKvReuse,
      track_prefill_tokens: override.trackPrefillTokens,
    },
  };
}

const words = (bytes: Uint8Array): number[] => [
  ...new Uint32Array(bytes.slice(0, bytes.byteLength & ~3).buffer),
];

function decoded<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw new StatorError('invalid_frame', `The body is no ${schema.typeName}.`, { cause });
  }
}
