/**
 * A request in the queue, and which of two in one class goes first (semantics §1.7): the higher tier, then the higher
 * score, then who came first. A class's deadline sheds; it does not order, or it would undo priorities and wspt.
 *
 * Scores never change while requests wait, so a heap holds them: `aged`, too, is a point in time (patience.ts).
 */

import type { RouteRequest } from '../rpc.ts';
import type { Rank } from '../workers.ts';
import type { QueuePolicyName } from './policy-document.ts';

export interface QueueEntry {
  readonly ticket: number;
  readonly request: RouteRequest;
  readonly modelName: string;
  /** Who may serve it: entries of one lane have the same eligible workers, '' is everybody. */
  readonly lane: string;
  readonly enqueuedMs: number;
  /** Rises with every entry. */
  readonly sequence: number;
  readonly rawIslTokens: number;
  /** Of the eligible worker that has most of the prompt, when the request came. */
  readonly cachedTokens: number;
  /** Others that come up to so much later may go first (policy `aged`). */
  readonly patienceMs: number;
  readonly strictPriority: number;
  classIndex: number;
  score: number;
  /** Shed from then on; Infinity: never. */
  dueMs: number;
  /** Position in its heap. */
  at: number;
  /** The worker that it would have got at `judgedMs`, and was too busy (held.ts). */
  wanted: Rank | null;
  judgedMs: number;
}

/** What service costs: uncached tokens, at least one. */
export const costTokens = ({ rawIslTokens, cachedTokens }: QueueEntry): number =>
  Math.max(rawIslTokens - cachedTokens, 1);

/** In milliseconds, or requests per token. */
export function scoreOf(policy: QueuePolicyName, entry: QueueEntry): number {
  const jumpS = Math.max(entry.request.priorityJump ?? 0, 0);
  switch (policy) {
    case 'fcfs':
      return jumpS * 1000 - entry.enqueuedMs;
    case 'lcfs':
      return jumpS * 1000 + entry.enqueuedMs;
    case 'wspt':
      return (1 + jumpS) / costTokens(entry);
    case 'aged':
      return jumpS * 1000 - entry.enqueuedMs - entry.patienceMs;
  }
}

/** Does `a` go before `b`? */
export function isBefore(a: QueueEntry, b: QueueEntry): boolean {
  if (a.strictPriority !== b.strictPriority) return a.strictPriority > b.strictPriority;
  if (a.score !== b.score) return a.score > b.score;
  return a.sequence < b.sequence;
}
