/** What a proposer says, and what it is told. */

import type { Counts } from '../fleet.ts';

export interface Targets {
  ttftMs: number;
  itlMs: number;
}

/** What is to come, per request and millisecond. */
export interface Demand {
  requestsPerMs: number;
  inputTokens: number;
  outputTokens: number;
}

export type Proposal =
  | { kind: 'counts'; counts: Counts; because: string }
  /** It cannot tell: everything stays. */
  | { kind: 'hold'; because: string };

export const hold = (because: string): Proposal => ({ kind: 'hold', because });
