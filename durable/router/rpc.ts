/**
 * What functions may ask a Router object: the types of its RPC, and nothing else of it (imports go one way).
 *
 * One call per attempt. Hashes travel as packed little-endian u64 (`Uint8Array`), exactly as the index wants them.
 */

import type { Fleet } from '../planner/fleet.ts';
import type { Metrics } from '../planner/metrics.ts';

/** How a worker is chosen. */
export const ROUTER_MODES = [
  'round-robin',
  'random',
  'power-of-two',
  'least-loaded',
  'direct',
  'kv',
] as const;
export type RouterMode = (typeof ROUTER_MODES)[number];

/** Which half of a request a worker is wanted for; absent where one worker does both. */
export type RouterRole = 'prefill' | 'decode';

/** When prompts go to prefill workers (semantics §6); `disagg/conditions.ts` says what each means. */
export const DISAGG_POLICIES = [
  'always',
  'isl_bounding',
  'prefill_load',
  'isl_or_load',
  'prefill_queue',
  'never',
] as const;
export type DisaggPolicy = (typeof DISAGG_POLICIES)[number];

export interface DisaggSettings {
  policy: DisaggPolicy;
  /** Of `isl_bounding`: below so many tokens to compute, and below this share of the prompt, it stays. */
  islTokens: number;
  islRatio: number;
  /** Prompt tokens still to compute, as a multiple of the engine's batch, above which a prefill worker is busy; null: never. */
  prefillBusyThreshold: number | null;
  /** Share of the KV blocks above which a decode worker computes no prompt that another may; null: never. */
  decodeBusyThreshold: number | null;
  /** Of `prefill_queue`. */
  maxLocalPrefillLength: number;
  maxPrefillQueueSize: number;
}

/** Why one worker does both although there are prefill workers. */
export type LocalReason = 'never' | 'isl' | 'load' | 'no_prefill_worker' | 'aggregated';

export interface RouteRequest {
  requestId: string;
  model: string;
  /** Local block hashes of the complete prompt blocks, packed LE u64. */
  blockHashes: Uint8Array;
  promptTokens: number;
  /** Instance id (hex) for mode `direct` or a pinned request. */
  pinned?: string;
  /** Instances that this request has already lost or that refused it. */
  exclude?: string[];
  /** The reservation of the attempt before, freed by this call. */
  release?: number;
  /** Overrides the configured mode for this request. */
  mode?: RouterMode;
  /** What the directory says of a model that sleeps, and its prompt was made with: the router may have restarted since. */
  asleep?: { tokenizerSha256: string | null; blockSizeTokens: number };
  /** Of the pinned worker: this data parallel rank. */
  dpRank?: number;
  role?: RouterRole;
  /** This prefill worker computes the prompt (hex), whatever the conditions say; the one pinned: nobody else. */
  prefillPinned?: string;
  prefillDpRank?: number;
  /** Only these instances (hex). */
  allowedWorkerIds?: string[];
  /** Only workers with all of these taints; and weights of taints: above 0 draws the request there, below 0 away. */
  requiredTaints?: string[];
  preferredTaints?: Record<string, number>;
  /** Only workers that have this LoRA adapter. */
  lora?: string;
  /** Goes where the session's last request went, if it can; `final`: the session ends with this one. */
  session?: { id: string; final: boolean };
  /** How long the answer is expected to be. */
  expectedOutputTokens?: number;
  override?: RouterConfigOverride;
  /** Decide, but count nothing: the reservation is 0. */
  queryOnly?: boolean;
  /** Say how each candidate was judged. */
  explain?: boolean;
  /** Policy class or family that the client named; another name or none means the default family. */
  policyClass?: string;
  /** In the queue: seconds that the request counts as older than it is (`agent_hints.priority`). */
  priorityJump?: number;
  /** In the queue: everything of a higher tier goes first (`agent_hints.strict_priority`); batches are below 0. */
  strictPriority?: number;
}

/** What one request may set otherwise than the router is configured (`router_config_override`). */
export interface RouterConfigOverride {
  overlapScoreCredit?: number;
  /** Dynamo 0.9: sets `prefillLoadScale`, and at 0 also the credit to 0. */
  overlapScoreWeight?: number;
  prefillLoadScale?: number;
  temperature?: number;
  sharedCacheMultiplier?: number;
  assumeKvReuse?: boolean;
  trackPrefillTokens?: boolean;
}

/** How one candidate was judged, in the terms of the cost (semantics §1.2). */
export interface CandidateCost {
  worker: string;
  dpRank: number;
  cost: number;
  deviceBlocks: number;
  hostBlocks: number;
  diskBlocks: number;
  sharedBlocks: number;
  prefillTokens: number;
  decodeBlocks: number;
  activeRequests: number;
  preference: number;
}

/** Above which load a worker is overloaded (semantics §1.8); null: never. */
export interface BusyThresholds {
  /** Share of the KV blocks in use, 0 to 1. */
  activeDecodeBlocks: number | null;
  /** Prompt tokens still to compute, and the same as a multiple of the engine's batch. */
  activePrefillTokens: number | null;
  activePrefillTokensFrac: number | null;
}

/** Who computes the prompt for the worker that was chosen. */
export interface PrefillDecision {
  /** Instance id, hex; empty: whoever takes the prompt from the prefill queue, and then nothing else here says anything. */
  worker: string;
  /** `host:port` of native gRPC. */
  grpcAddress: string;
  dpRank: number;
  /** Freed with the decision's own, or when that worker says so. */
  reservation: number;
  overlapBlocks: number;
  cachedTokens: number;
  /** Where another namespace's worker computes it: that one, and its router's boot. */
  namespace?: string;
  routerBoot?: number;
}

export interface RouteDecision {
  kind: 'decision';
  /** Instance id, hex. */
  worker: string;
  /** Base URL of the worker's HTTP/1.1 face. */
  address: string;
  reservation: number;
  routerBoot: number;
  dpRank: number;
  /** Prompt blocks that the index says the worker has. */
  overlapBlocks: number;
  /** Prompt tokens that it need not compute, as estimated: tiers below the device count less. */
  cachedTokens: number;
  directoryVersion: number;
  /** Absent: the worker computes the prompt itself. */
  prefill?: PrefillDecision;
  /** `host:port` of native gRPC; said of prefill workers that were asked for. */
  grpcAddress?: string;
  /** Asked for by `explain`, cheapest first; empty in modes that weigh nothing. */
  candidates?: CandidateCost[];
}

/** Wishes that a router may find nobody for. */
export type RefusableWish =
  | 'pinned'
  | 'prefillPinned'
  | 'dpRank'
  | 'allowedWorkerIds'
  | 'requiredTaints'
  | 'lora';

/** Refusals are values: an exception across RPC loses its class. `code` is one of runtime/errors.ts. */
export interface RouteRefusal {
  kind: 'refusal';
  code: string;
  message: string;
  retryAfterS: number | null;
  /** The field of the request that cannot be granted. */
  param?: RefusableWish;
  /** For machines: which bound of the queue it was. */
  details?: QueueRefusalDetails;
}

/** Why the queue did not take a request, or let it go. */
export type QueueRefusalDetails =
  | { policy_class: string; limit_kind: QueueLimitKind; current: number; limit: number }
  | { policy_class: string; stage: 'dispatch'; slo_ms: number; overdue_ms: number };

export type QueueLimitKind = 'requests' | 'raw_isl_tokens' | 'cached_tokens';

/** All eligible workers are busy: ask `wait` until it gives another answer. */
export interface RouteTicket {
  kind: 'ticket';
  ticket: number;
  /** Its class refuses who waits longer than `slo_ms`, or its model sleeps and may not wake. */
  mayBeShed?: boolean;
}

export type RouteAnswer = RouteDecision | RouteRefusal | RouteTicket;

export interface RouterRpc {
  route(request: RouteRequest): RouteAnswer;
  /** The ticket's answer, or the ticket again when none came within a second. A ticket that nobody waits for is dropped. */
  wait(ticket: number): Promise<RouteAnswer>;
  /** Requests that wait here and that nobody wants any more: whoever waited for them is gone and cannot say so. */
  abandon(requestIds: string[]): void;
  /** The queue policy in effect, as `setQueuePolicy` takes it. */
  queuePolicy(): unknown;
  /** Takes a policy document (queue/policy-document.ts); everybody who waits goes on waiting. A refusal says what is wrong with it. */
  setQueuePolicy(document: unknown): RouteRefusal | null;
  /** The attempt came to nothing and no other follows. Idempotent. */
  release(reservation: number): void;
  /** Prometheus text of this object. */
  metrics(): string;
  /** What `stator status` shows. */
  status(): RouterStatus;
  /** What a planner reads: counters since this object began, and the workers by role. */
  demand(): { metrics: Metrics; registered: Fleet };
  /** Drops cached blocks on all workers; returns how many workers were told. */
  clearKvBlocks(): number;
  /** Thresholds of a model after the given ones were changed; null when the model is not served here. Lost with the object. */
  busyThresholds(model: string, change: Partial<BusyThresholds>): BusyThresholds | null;
  /** The same for the conditions of disaggregation. */
  disagg(model: string, change: Partial<DisaggSettings>): DisaggSettings | null;
}

/** What waits in one policy class. */
export interface QueueStatus {
  model: string;
  policyClass: string;
  requests: number;
  rawIslTokens: number;
  cachedTokens: number;
  /** Credit of the deficit round robin. */
  deficitTokens: number;
}

/** What a worker is for. */
export type WorkerRole = 'aggregated' | 'prefill' | 'decode' | 'encode';

export interface RouterStatus {
  routerBoot: number;
  mode: RouterMode;
  inFlight: number;
  indexBlocks: number;
  indexBytes: number;
  /** Policy classes of models that queue; empty when none does. */
  queue: QueueStatus[];
  /** Models without a worker that a request would wake, and requests that wait for one. */
  sleeping: string[];
  held: number;
  workers: {
    instanceId: string;
    epoch: number;
    model: string;
    engine: string;
    workerType: WorkerRole;
    address: string;
    grpcAddress: string;
    /** `lost`: the socket broke, the lease still runs. */
    phase: 'serving' | 'draining' | 'lost';
    activeRequests: number;
    activePrefillTokens: number;
    activeBlocks: number;
    cachedBlocks: number;
    totalBlocks: number;
    blockSizeTokens: number;
    contextLengthTokens: number;
    /** Requests that run at once; 0: not said. */
    maxNumSeqs: number;
    running: number;
    waiting: number;
    /** Its KV memory below the engine's own cache, from the nearest on. */
    tiers: TierStatus[];
  }[];
}

export const TIER_NAMES = ['device', 'host', 'disk', 'external'] as const;

interface TierStatus {
  tier: (typeof TIER_NAMES)[number];
  blocks: number;
  capacityBlocks: number;
  /** It rests after faults. */
  degraded: boolean;
}
