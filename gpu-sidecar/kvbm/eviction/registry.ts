/** Every eviction policy by its name (setting `kvbm_eviction`). Measured: docs/decisions/0014. */

import type { EvictionPolicy } from './eviction-policy.ts';
import { Lineage } from './lineage.ts';
import { Lrfu } from './lrfu.ts';
import { Lru } from './lru.ts';
import { S3Fifo } from './s3-fifo.ts';
import { Sieve } from './sieve.ts';

export const EVICTION_POLICIES = {
  lru: (slots) => new Lru(slots),
  lineage: (slots) => new Lineage(slots),
  sieve: (slots) => new Sieve(slots),
  's3-fifo': (slots) => new S3Fifo(slots),
  lrfu: (slots) => new Lrfu(slots),
} as const satisfies Readonly<Record<string, (slots: number) => EvictionPolicy>>;

export type EvictionName = keyof typeof EVICTION_POLICIES;
