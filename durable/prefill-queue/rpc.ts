/**
 * What functions may ask a PrefillQueue object (one per namespace): the second way of handing a prompt to a prefill worker,
 * in which prefill workers take jobs from a queue. `gpu-sidecar/proto/stator/v1/prefill_queue.proto` is the same for
 * sidecars. Refusals are values: an exception across RPC loses its class.
 *
 * A job is named by its request and the decode worker that wants it (its *producer*), so a request that moved to another
 * worker is another job. What is computed (`work`) is opaque here: only sidecars read it.
 */

/** What a producer sees of its job: `taken` once its worker has begun. All but the first two are ends. */
export type JobState = 'queued' | 'taken' | 'ready' | 'cancelled' | 'expired' | 'dead';

export interface NewPrefillJob {
  requestId: string;
  /** Instance id of the decode worker, hex. */
  producer: string;
  model: string;
  /** Higher goes first. */
  priority: number;
  /** Nobody wants it after this long. */
  timeoutMs: number;
  /** An encoded `PrefillWork`. */
  work: Uint8Array;
}

export interface Refused {
  /** One of runtime/errors.ts. */
  refused: 'overloaded' | 'body_too_large';
  message: string;
}

export interface Enqueued {
  /** This life of the object: with another one, what was not told of in `watch` is lost. */
  boot: string;
  state: JobState;
}

export interface LeaseWish {
  /** Instance id of the prefill worker, hex, and where decode workers reach it. */
  worker: string;
  grpcAddress: string;
  model: string;
  most: number;
  /** How long to wait for the first job. */
  waitMs: number;
  /** All leases that the worker knows it has: they are renewed, others of its are given to somebody else. */
  holding: string[];
}

export interface LeasedJob {
  lease: string;
  requestId: string;
  producer: string;
  priority: number;
  /** Until nobody wants it. */
  timeLeftMs: number;
  /** From 1 up. */
  delivery: number;
  work: Uint8Array;
}

/**
 * `begin`: the worker can be asked for blocks from now on. `return`: it has not begun, and the delivery does not count. `final`: no
 * other worker would do better.
 */
export type Report =
  | { lease: string; kind: 'begin' | 'renew' | 'return' }
  /** Prompt tokens that the worker had in its cache. */
  | { lease: string; kind: 'complete'; cachedTokens: number }
  | { lease: string; kind: 'fail'; reason: string; final: boolean };

/**
 * `held`: the lease goes on. `done`: the job has this end, told now or before. `cancelled`: nobody wants it any more.
 * `superseded`: the lease is over, and what was done under it has no effect.
 */
export type Verdict = 'held' | 'done' | 'cancelled' | 'superseded';

export interface JobChange {
  requestId: string;
  state: JobState;
  /** Who has or had it; empty before. */
  worker: string;
  grpcAddress: string;
  /** Why it is dead, or was queued again. */
  reason: string;
  cachedTokens: number;
}

export interface Watched {
  boot: string;
  /** To be given as `after` next time. */
  seq: number;
  changes: JobChange[];
}

export interface DeadLetter {
  id: string;
  requestId: string;
  producer: string;
  model: string;
  reason: string;
  deliveries: number;
  bytes: number;
  /** Unix milliseconds. */
  deadSinceMs: number;
}

export interface PrefillQueueStatus {
  models: { model: string; waiting: number; leased: number; oldestMs: number }[];
  bytes: number;
  redelivered: number;
  deadLetters: DeadLetter[];
}

export interface PrefillQueueRpc {
  /** The same job twice is one job; the answer says how it stands. */
  enqueue(job: NewPrefillJob): Enqueued | Refused;
  /** The first jobs of a model. A later call of the same worker ends an earlier one that still waits. */
  lease(wish: LeaseWish): Promise<{ jobs: LeasedJob[]; leaseMs: number }>;
  /** One verdict each, in order. */
  report(reports: Report[]): Verdict[];
  /** Its producer wants these no more. */
  cancel(producer: string, requestIds: string[]): void;
  /** What became of a producer's jobs since `after`, or, of another `boot`, how all of them stand; waits for the first change. */
  watch(producer: string, since: { boot: string; after: number; waitMs: number }): Promise<Watched>;
  /** A prefill worker is gone for good: its jobs go to others now and not when their leases end. */
  workerLost(worker: string): void;
  status(): PrefillQueueStatus;
  /** Dead letters go back into the queue, with all deliveries and time before them. How many did. */
  requeueDead(ids: string[]): number;
  dropDead(ids: string[]): number;
}
