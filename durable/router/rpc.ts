/**
 * What functions may ask a Router object: the types of its RPC, and nothing else of it (imports go one way).
 *
 * One call per attempt. Hashes travel as packed little-endian u64 (`Uint8Array`), exactly as the index wants them.
 */

/** How a worker is chosen. */
export const ROUTER_MODES = ['round-robin', 'random', 'direct', 'kv'] as const;
export type RouterMode = (typeof ROUTER_MODES)[number];

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
  /** Policy class or family that the client named; another name or none means the default family. */
  policyClass?: string;
  /** In the queue: seconds that the request counts as older than it is (`agent_hints.priority`). */
  priorityJump?: number;
  /** In the queue: everything of a higher tier goes first (`agent_hints.strict_priority`). */
  strictPriority?: number;
}

export interface RouteDecision {
  kind: 'decision';
  /** Instance id, hex. */
  worker: string;
  /** Base URL of the worker's HTTP/1.1 face. */
  address: string;
  reservation: number;
  routerBoot: number;
  /** Prompt blocks that the index says the worker has. */
  overlapBlocks: number;
  directoryVersion: number;
}

/** Refusals are values: an exception across RPC loses its class. `code` is one of runtime/errors.ts. */
export interface RouteRefusal {
  kind: 'refusal';
  code: string;
  message: string;
  retryAfterS: number | null;
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
}

export type RouteAnswer = RouteDecision | RouteRefusal | RouteTicket;

export interface RouterRpc {
  route(request: RouteRequest): RouteAnswer;
  /** The ticket's answer, or the ticket again when none came within a second. A ticket that nobody waits for is dropped. */
  wait(ticket: number): Promise<RouteAnswer>;
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
  /** Drops cached blocks on all workers; returns how many workers were told. */
  clearKvBlocks(): number;
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

export interface RouterStatus {
  routerBoot: number;
  mode: RouterMode;
  inFlight: number;
  indexBlocks: number;
  indexBytes: number;
  /** Policy classes of models that queue; empty when none does. */
  queue: QueueStatus[];
  workers: {
    instanceId: string;
    epoch: number;
    model: string;
    engine: string;
    address: string;
    grpcAddress: string;
    /** `lost`: the socket broke, the lease still runs. */
    phase: 'serving' | 'draining' | 'lost';
    activeRequests: number;
    activePrefillTokens: number;
    activeBlocks: number;
    cachedBlocks: number;
    totalBlocks: number;
    running: number;
    waiting: number;
  }[];
}
