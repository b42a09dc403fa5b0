/**
 * What a client tells the router of its request: Dynamo's extension object `nvext`. Fields that Dynamo has and that mean
 * nothing here yet are accepted; fields that nobody knows are refused, because a misspelt wish would silently not be granted.
 *
 * Beside Dynamo's: `allowed_worker_ids`, `router_config_override`, `lora_name`, `session_id`, and `routing` among
 * `extra_fields`, which asks why the worker was chosen.
 */
import * as z from 'zod';
import type { RouterConfigOverride } from '../../durable/router/rpc.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type {
  AgentHints,
  Annotations,
  AnswerExtras,
  LatencyTargets,
  Prompt,
  RoutingWishes,
} from '../inference-request.ts';
import { guidedFields } from './guided-schema.ts';
import { samplingExtensions } from './sampling-extensions.ts';
import { tokenPrompt } from './token-prompt.ts';

const EVENTS = ['formatted_prompt', 'token_ids'];
const weight = z.number().min(0);
const text = z.string().min(1).max(LIMITS.modelNameLength);
const words = z.array(text).max(LIMITS.workerWords);
const rank = z.number().int().min(0).max(0xffff_fffe);
const uint32 = z.number().int().min(0).max(0xffff_ffff);
const targetMs = z.number().min(0);
const ignored = z.unknown().optional();

/** 64-bit ids as `x-stator-worker` has them (hex), or as JSON numbers where these are exact. */
const instanceId = z
  .union([z.string().regex(/^[0-9a-f]{1,16}$/, 'expected a hex instance id'), z.number().int().min(0)])
  .transform((id) => (typeof id === 'string' ? id : id.toString(16).padStart(16, '0')));

const routerConfigOverride = z.strictObject({
  overlap_score_credit: weight.nullish(),
  overlap_score_weight: weight.nullish(),
  prefill_load_scale: weight.nullish(),
  router_temperature: weight.nullish(),
  shared_cache_multiplier: z.number().min(0).max(1).nullish(),
  assume_kv_reuse: z.boolean().nullish(),
  track_prefill_tokens: z.boolean().nullish(),
});

const routingConstraints = z.strictObject({
  required_taints: words.nullish(),
  preferred_taints: z.record(text, z.number().min(-1e6).max(1e6)).nullish(),
});

/** Fields that both `nvext` and the router's own endpoints have. */
export const routingFields = {
  backend_instance_id: instanceId.nullish(),
  decode_worker_id: instanceId.nullish(),
  prefill_worker_id: instanceId.nullish(),
  prefill_dp_rank: rank.nullish(),
  dp_rank: rank.nullish(),
  allowed_worker_ids: z.array(instanceId).min(1).max(LIMITS.workers).nullish(),
  routing_constraints: routingConstraints.nullish(),
  router_config_override: routerConfigOverride.nullish(),
  lora_name: text.nullish(),
  session_id: text.nullish(),
};

export const nvext = z
  .strictObject({
    ...routingFields,
    annotations: z.array(z.string().max(LIMITS.modelNameLength)).max(LIMITS.workerWords).nullish(),
    extra_fields: z.array(text).max(LIMITS.workerWords).nullish(),
    cache_salt: text.nullish(),
    ...guidedFields,
    guided_decoding_backend: ignored,
    guided_whitespace_pattern: ignored,
    agent_hints: z
      .strictObject({
        priority: z.number().int().min(-0x8000_0000).max(0x7fff_ffff).nullish(),
        strict_priority: uint32.nullish(),
        osl: uint32.nullish(),
        latency_sensitivity: z.number().nullish(),
        speculative_prefill: z.boolean().nullish(),
      })
      .nullish(),
    session_control: z
      .strictObject({
        session_id: text,
        action: z.enum(['open', 'close']).nullish(),
        timeout: uint32.nullish(),
      })
      .nullish(),
    ...samplingExtensions,
    greed_sampling: z.boolean().nullish(),
    /** The elements are checked where they become a prompt: zod per token id would cost more than the routing. */
    token_data: z.array(z.unknown()).min(1).nullish(),
    router: z.strictObject({ ttft_target: targetMs.nullish(), itl_target: targetMs.nullish() }).nullish(),
    // Understood, and without effect where there is no upload of metadata.
    use_raw_prompt: z.boolean().nullish(),
    max_thinking_tokens: uint32.nullish(),
    metadata_upload: z.strictObject({ url: text }).nullish(),
    request_timestamp_ms: z.number().min(0).nullish(),
  })
  .nullish();

type NvExt = NonNullable<z.output<typeof nvext>>;
type RoutingFields = Pick<NvExt, keyof typeof routingFields>;

export function agentHintsOf(body: { nvext?: NvExt | null | undefined }): AgentHints | null {
  const hints = body.nvext?.agent_hints;
  if (hints == null) return null;
  return { priority: hints.priority ?? 0, strictPriority: hints.strict_priority ?? 0 };
}

/** What `extra_fields` asks the answer to say; to be spread into the request. */
export function answerExtrasOf(body: { nvext?: NvExt | null | undefined }): {
  answerExtras?: AnswerExtras;
} {
  const fields = body.nvext?.extra_fields ?? [];
  const answerExtras = { workerId: fields.includes('worker_id'), timing: fields.includes('timing') };
  return answerExtras.workerId || answerExtras.timing ? { answerExtras } : {};
}

/** Out-of-band events before the first chunk of a stream; to be spread into the request. */
export function annotationsOf(body: { nvext?: NvExt | null | undefined }): { annotations?: Annotations } {
  const names = body.nvext?.annotations?.filter((name) => EVENTS.includes(name)) ?? [];
  return names.length === 0 ? {} : { annotations: { names } };
}

/** For the grid of a global router, in milliseconds; to be spread into the request. */
export function targetsOf(body: { nvext?: NvExt | null | undefined }): { targets?: LatencyTargets } {
  const router = body.nvext?.router;
  if (router == null) return {};
  return { targets: { ttftMs: router.ttft_target ?? null, itlMs: router.itl_target ?? null } };
}

/** The client's own tokens in place of what it wrote; undefined: none. Throws `invalid_request` naming the element. */
export function tokenDataOf(body: { nvext?: NvExt | null | undefined }): Prompt | undefined {
  const tokens = body.nvext?.token_data;
  return tokens == null ? undefined : tokenPrompt(tokens, 'nvext.token_data');
}

/** null: the request leaves everything to the router. */
export function routingOf(body: {
  nvext?: NvExt | null | undefined;
  cache_salt?: string | null | undefined;
}): RoutingWishes | null {
  const { nvext } = body;
  if (nvext == null && body.cache_salt == null) return null;
  const wishes: RoutingWishes = nvext == null ? {} : wishesOf(nvext);
  const salt = nvext?.cache_salt ?? body.cache_salt;
  if (salt != null) wishes.cacheNamespace = salt;
  if (nvext == null) return wishes;
  const { agent_hints, session_control, annotations, extra_fields } = nvext;
  if (agent_hints?.osl != null) wishes.expectedOutputTokens = agent_hints.osl;
  if (session_control != null) {
    wishes.session = { id: session_control.session_id, final: session_control.action === 'close' };
  }
  if (annotations?.some((note) => /^query_instance_id(:|$)/.test(note))) wishes.queryOnly = true;
  if (extra_fields?.includes('routing')) wishes.explain = true;
  return wishes;
}

/** What the fields say, in the router's words. */
export function wishesOf(fields: RoutingFields): RoutingWishes {
  const wishes: RoutingWishes = {};
  const pinned = fields.backend_instance_id ?? fields.decode_worker_id;
  if (pinned != null) wishes.pinned = pinned;
  if (fields.dp_rank != null) wishes.dpRank = fields.dp_rank;
  if (fields.prefill_worker_id != null) wishes.prefillPinned = fields.prefill_worker_id;
  if (fields.prefill_dp_rank != null) wishes.prefillDpRank = fields.prefill_dp_rank;
  if (fields.allowed_worker_ids != null) wishes.allowedWorkerIds = fields.allowed_worker_ids;
  const { required_taints, preferred_taints } = fields.routing_constraints ?? {};
  if (required_taints != null) wishes.requiredTaints = required_taints;
  if (preferred_taints != null) wishes.preferredTaints = preferred_taints;
  if (fields.lora_name != null) wishes.lora = fields.lora_name;
  if (fields.session_id != null) wishes.session = { id: fields.session_id, final: false };
  if (fields.router_config_override != null) wishes.override = overrideOf(fields.router_config_override);
  return wishes;
}

function overrideOf(given: z.output<typeof routerConfigOverride>): RouterConfigOverride {
  const override: RouterConfigOverride = {};
  if (given.overlap_score_credit != null) override.overlapScoreCredit = given.overlap_score_credit;
  if (given.overlap_score_weight != null) override.overlapScoreWeight = given.overlap_score_weight;
  if (given.prefill_load_scale != null) override.prefillLoadScale = given.prefill_load_scale;
  if (given.router_temperature != null) override.temperature = given.router_temperature;
  if (given.shared_cache_multiplier != null) override.sharedCacheMultiplier = given.shared_cache_multiplier;
  if (given.assume_kv_reuse != null) override.assumeKvReuse = given.assume_kv_reuse;
  if (given.track_prefill_tokens != null) override.trackPrefillTokens = given.track_prefill_tokens;
  return override;
}
