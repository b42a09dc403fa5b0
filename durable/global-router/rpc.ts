/**
 * What functions may ask the GlobalRouter object (one per deployment): which pools stand behind one model name and how a
 * request chooses among them (semantics §9). A pool is a namespace, or an address with OpenAI's API. Functions keep a copy
 * of the configuration with its version, and bring what they counted when they ask for a newer one.
 */

/** Name of the one GlobalRouter object (`idFromName`). */
export const GLOBAL_ROUTER_NAME = 'global-router';

/** Before the name of an `openai` pool where pools are listed; namespaces have no colon. */
export const OPENAI_PREFIX = 'openai:';

/** What an axis of a grid measures: tokens of the prompt (twice), milliseconds that the client asks for. */
export type Quantity = 'isl' | 'context_length' | 'ttft' | 'itl';

export interface Axis {
  readonly quantity: Quantity;
  readonly min: number;
  readonly max: number;
  /** Cells along it. */
  readonly resolution: number;
}

export interface Pool {
  /** Its namespace, or `openai:` and a name. */
  readonly name: string;
  /** The lower, the faster. */
  readonly priority: number;
}

/** Bounds are inclusive. */
export interface PriorityOverride {
  readonly minPriority: number;
  readonly maxPriority: number;
  readonly targetPool: number;
}

/** Pools that stand for one another, and the grid that says which of them gets what. */
export interface PoolGroup {
  readonly pools: readonly Pool[];
  readonly axes: readonly Axis[];
  /** Pool by cell, the last axis fastest. */
  readonly mapping: readonly number[];
  readonly overrides: readonly PriorityOverride[];
}

/** Somebody else's service with OpenAI's API. Its key is a setting and never here. */
export interface OpenAiPool {
  /** With the prefix. */
  readonly name: string;
  /** What comes before `/chat/completions`. */
  readonly baseUrl: string;
  /** Their name of the model; null: ours. */
  readonly model: string | null;
  /** It is tried last by every request, whatever the grid says. */
  readonly overflow: boolean;
  /** How long its head may take, and how long its stream may be silent. */
  readonly timeoutMs: number;
}

/** `agg`: each pool does all. `disagg`: one pool computes the prompt, one the answer. */
export type PoolGroups =
  | { readonly mode: 'agg'; readonly agg: PoolGroup }
  | { readonly mode: 'disagg'; readonly prefill: PoolGroup; readonly decode: PoolGroup };

export interface GlobalRouterConfig {
  readonly groups: PoolGroups;
  /** null: every model that a pool serves. */
  readonly modelName: string | null;
  readonly enablePriorityRetry: boolean;
  readonly openaiPools: readonly OpenAiPool[];
  /** For requests that name none; null: the middle of the axis. */
  readonly defaultTtftTargetMs: number | null;
  readonly defaultItlTargetMs: number | null;
}

export interface GlobalRouterSnapshot {
  readonly version: number;
  /** null: there is no global router. */
  readonly config: GlobalRouterConfig | null;
}

/** Why a request was sent to a pool: the grid said so, the pool before it failed, or all others had. */
export const POOL_CHOICES = ['selected', 'retried', 'overflow'] as const;
export type PoolChoice = (typeof POOL_CHOICES)[number];

/** What one isolate counted since it last told. */
export interface PoolCount {
  readonly pool: string;
  /** One of `PoolChoice`, or `failed:` and an error code. */
  readonly what: string;
  readonly count: number;
}

/** Totals of one pool since the object started. */
export interface PoolTotals {
  selected: number;
  retried: number;
  overflow: number;
  /** By error code. */
  failures: Record<string, number>;
}

export interface GlobalRouterRpc {
  /** The configuration, or null when `knownVersion` is current. */
  read(knownVersion: number, counts: PoolCount[]): GlobalRouterSnapshot | null;
  /** Takes a document (pools-document.ts), or null for no global router; the answer says what is wrong with it, or null. Lost with the object. */
  configure(document: unknown): { code: string; message: string; param: string | null } | null;
  /** The document in effect, and what was counted, by pool. */
  info(): { document: unknown; config: GlobalRouterConfig | null; totals: Record<string, PoolTotals> };
  /** Prometheus text; `workers` by pool. */
  metrics(workers: Record<string, number>): string;
}
