/** The bounds that the servers keep, taken from the one table; a record, so that a test can narrow them. */

import { LIMITS } from '../../durable/runtime/limits.ts';

export type WorkerLimits = { readonly [Name in keyof typeof LIMITS]: number };

export const workerLimits: WorkerLimits = LIMITS;
