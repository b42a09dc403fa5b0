/** What `stator status` shows of a namespace. */

import { type RouterStatus, TIER_NAMES } from './rpc.ts';
import type { Rank, Workers } from './workers.ts';

type Given = Pick<RouterStatus, 'routerBoot' | 'mode' | 'inFlight' | 'queue' | 'sleeping' | 'held'>;

export function routerStatus(workers: Workers, given: Given): RouterStatus {
  const models = [...workers.models()];
  return {
    ...given,
    indexBlocks: sum(models, ({ index }) => index.blocks),
    indexBytes: sum(models, ({ index }) => index.bytes),
    workers: [...workers].map(({ instanceId, registration, model, ranks, phase }) => ({
      instanceId,
      epoch: registration.epoch,
      model: model.name,
      engine: registration.engine,
      workerType: registration.workerType,
      address: registration.address,
      grpcAddress: registration.grpcAddress,
      phase,
      activeRequests: sum(ranks, (rank) => rank.activeRequests),
      activePrefillTokens: sum(ranks, (rank) => rank.prefillTokens),
      activeBlocks: sum(ranks, (rank) => model.inFlight.active(rank.slot)),
      cachedBlocks: sum(ranks, (rank) => model.index.slotBlocks(rank.slot)),
      totalBlocks: registration.totalKvBlocks * ranks.length,
      blockSizeTokens: registration.card.blockSizeTokens,
      contextLengthTokens: registration.card.contextLengthTokens,
      maxNumSeqs: registration.maxNumSeqs,
      running: sum(ranks, (rank: Rank) => rank.running),
      waiting: sum(ranks, (rank: Rank) => rank.waiting),
      tiers: tiersOf(ranks),
    })),
  };
}

/** Ranks of a worker have the same tiers. */
function tiersOf(ranks: readonly Rank[]): RouterStatus['workers'][number]['tiers'] {
  const all = ranks.flatMap(({ tiers }) => tiers);
  return TIER_NAMES.flatMap((name, tier) => {
    const those = all.filter((one) => one.tier === tier);
    if (those.length === 0) return [];
    return [
      {
        tier: name,
        blocks: sum(those, ({ blocks }) => blocks),
        capacityBlocks: sum(those, ({ capacityBlocks }) => capacityBlocks),
        degraded: those.some(({ degraded }) => degraded),
      },
    ];
  });
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
