/**
 * What KV memory counts (semantics §7, §11). Paths have Dynamo's names: d2h is device to host, h2d (offload) host to disk, and so
 * on; a path is a label here.
 */

import type { Metrics } from '../../durable/runtime/metrics.ts';
import type { Fault } from './tiers/tier-store.ts';

export type LowerTierName = 'disk' | 'object';
export type TierName = 'host' | LowerTierName;
/** Why a block was not moved. */
export type SkipReason =
  | 'no_room'
  | 'queue_full'
  | 'degraded'
  | 'evicted'
  | 'there_already'
  | 'filtered'
  | 'failed';

const OFFLOAD_PATH: Readonly<Record<TierName, string>> = { host: 'd2h', disk: 'h2d', object: 'h2o' };
const ONBOARD_PATH: Readonly<Record<TierName, string>> = { host: 'h2d', disk: 'd2h', object: 'o2h' };

export interface KvbmMetrics {
  /** A block arrived in a tier from the one above. */
  offloaded(to: TierName, bytes: number): void;
  /** A block arrived in host memory from below, or in the engine from host memory. */
  onboarded(from: TierName, bytes: number): void;
  /** A block arrived in host memory from another worker. */
  received(bytes: number): void;
  /** Time in which an engine copied blocks instead of computing. */
  engineSpent(seconds: number): void;
  skipped(tier: TierName, reason: SkipReason): void;
  fault(tier: TierName, fault: Fault): void;
  /** Blocks that were looked for, and how many of them a tier had. */
  matched(tier: TierName, asked: number, found: number): void;
}

export function kvbmMetrics(metrics: Metrics): KvbmMetrics {
  const offloads = metrics.counter('kvbm_offload_blocks_total', 'Blocks moved down, by path.', ['path']);
  const offloadBytes = metrics.counter('kvbm_offload_bytes_total', 'Bytes moved down, by path.', ['path']);
  const onboards = metrics.counter('kvbm_onboard_blocks_total', 'Blocks moved up, by path.', ['path']);
  const onboardBytes = metrics.counter('kvbm_onboard_bytes_total', 'Bytes moved up, by path.', ['path']);
  const received = metrics.counter('kvbm_received_blocks_total', 'Blocks taken from other workers.').labels();
  const receivedBytes = metrics
    .counter('kvbm_received_bytes_total', 'Bytes taken from other workers.')
    .labels();
  const spent = metrics
    .counter('kvbm_engine_seconds_total', 'Time in which the engine copied blocks between batches.')
    .labels();
  const skips = metrics.counter('kvbm_skipped_blocks_total', 'Blocks not moved, by tier and reason.', [
    'tier',
    'reason',
  ]);
  const faults = metrics.counter(
    'kvbm_faults_total',
    'Faults of tiers, by kind; the block is computed again.',
    ['tier', 'fault'],
  );
  const asked = metrics.counter('kvbm_lookup_blocks_total', 'Blocks that a tier was asked for.', ['tier']);
  const found = metrics.counter('kvbm_matched_blocks_total', 'Blocks that a tier had when asked.', ['tier']);
  return {
    offloaded(to, bytes) {
      offloads.labels(OFFLOAD_PATH[to]).add();
      offloadBytes.labels(OFFLOAD_PATH[to]).add(bytes);
    },
    onboarded(from, bytes) {
      onboards.labels(ONBOARD_PATH[from]).add();
      onboardBytes.labels(ONBOARD_PATH[from]).add(bytes);
    },
    received(bytes) {
      received.add();
      receivedBytes.add(bytes);
    },
    engineSpent: (seconds) => spent.add(seconds),
    skipped: (tier, reason) => skips.labels(tier, reason).add(),
    fault: (tier, fault) => faults.labels(tier, fault).add(),
    matched(tier, askedBlocks, foundBlocks) {
      asked.labels(tier).add(askedBlocks);
      found.labels(tier).add(foundBlocks);
    },
  };
}

/** What a manager says of its tiers when somebody looks. */
interface TierFigures {
  readonly waitingBlocks: number;
  status(): {
    tier: TierName;
    capacityBlocks: number;
    registeredBlocks: number;
    evictions: number;
    degraded: boolean;
  }[];
}

/** Figures that are looked up at scrape time. */
export function kvbmGauges(metrics: Metrics, manager: TierFigures): void {
  const capacity = metrics.gauge('kvbm_capacity_blocks', 'Blocks that a tier can hold.', ['tier']);
  const registered = metrics.gauge('kvbm_blocks', 'Blocks that a tier holds.', ['tier']);
  const evictions = metrics.gauge('kvbm_evicted_blocks', 'Blocks of a tier that made room since the start.', [
    'tier',
  ]);
  const degraded = metrics.gauge('kvbm_degraded', '1 while a tier rests after faults.', ['tier']);
  const waiting = metrics.gauge('kvbm_waiting_blocks', 'Blocks that wait to be copied down.').labels();
  metrics.onCollect(() => {
    waiting.set(manager.waitingBlocks);
    for (const figures of manager.status()) {
      capacity.labels(figures.tier).set(figures.capacityBlocks);
      registered.labels(figures.tier).set(figures.registeredBlocks);
      evictions.labels(figures.tier).set(figures.evictions);
      degraded.labels(figures.tier).set(figures.degraded ? 1 : 0);
    }
  });
}
