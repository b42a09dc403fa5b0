/** A job of the prefill queue as the object has it, and its states. */

import type { JobChange, JobState } from './rpc.ts';

export type Phase =
  /** In its lane. */
  | { kind: 'queued' }
  /** Failed, and goes back into its lane at `untilMs`. */
  | { kind: 'resting'; untilMs: number }
  /** `begun`: its worker has said that blocks may be asked for. */
  | { kind: 'leased'; endsMs: number; begun: boolean }
  /** Remembered until `forgetMs`, for who asks again. */
  | { kind: 'ended'; outcome: Ending; forgetMs: number }
  | { kind: 'dead'; sinceMs: number; forgetMs: number };

export type Ending = 'ready' | 'cancelled' | 'expired';

/** The latest lease: of who has the job, or had it. */
export interface Lease {
  id: string;
  worker: string;
  grpcAddress: string;
}

export interface Job {
  /** `jobId` of its request and producer. */
  readonly id: string;
  readonly requestId: string;
  readonly producer: string;
  readonly model: string;
  readonly priority: number;
  /** Order of arrival. */
  readonly seq: number;
  readonly bytes: number;
  readonly timeoutMs: number;
  /** null: only on disk, or the job has ended. */
  work: Uint8Array | null;
  queuedMs: number;
  deadlineMs: number;
  deliveries: number;
  phase: Phase;
  lease: Lease | null;
  reason: string;
  /** Of its prompt, where it was computed. */
  cachedTokens: number;
  /** Number of the last change that its producer may see. */
  changed: number;
  /** It is on disk. */
  stored: boolean;
}

export const jobId = (requestId: string, producer: string): string => `${requestId}@${producer}`;

/** Somebody wants it and it has no end. */
export const isLive = ({ phase }: Job): boolean =>
  phase.kind === 'queued' || phase.kind === 'resting' || phase.kind === 'leased';

/** When time changes it. */
export function dueMs({ phase, deadlineMs }: Job): number {
  switch (phase.kind) {
    case 'queued':
      return deadlineMs;
    case 'resting':
      return Math.min(phase.untilMs, deadlineMs);
    case 'leased':
      return Math.min(phase.endsMs, deadlineMs);
    case 'ended':
    case 'dead':
      return phase.forgetMs;
  }
}

export function stateOf({ phase }: Job): JobState {
  switch (phase.kind) {
    case 'queued':
    case 'resting':
      return 'queued';
    case 'leased':
      return phase.begun ? 'taken' : 'queued';
    case 'ended':
      return phase.outcome;
    case 'dead':
      return 'dead';
  }
}

export function changeOf(job: Job): JobChange {
  const { requestId, lease, reason, cachedTokens } = job;
  const { worker = '', grpcAddress = '' } = lease ?? {};
  return { requestId, state: stateOf(job), worker, grpcAddress, reason, cachedTokens };
}
