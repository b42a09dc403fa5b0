/**
 * The settings of KV memory as the manager takes them: sizes in GB become blocks of this layout, a number of blocks wins over a
 * size, and an empty tier is none.
 */

import type { Settings } from '../../durable/runtime/config.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Metrics } from '../../durable/runtime/metrics.ts';
import { type BlockLayout, blockBytes } from './layout.ts';
import type { KvBlockManager } from './manager.ts';
import { openObjectStore } from './objects/open-object-store.ts';
import type { DevicePort } from './offload/offloader.ts';
import { type KvbmOptions, openKvBlockManager } from './open-manager.ts';

const GB = 1e9;

type Sizes = Pick<
  KvbmOptions,
  'hostBlocks' | 'disk' | 'object' | 'eviction' | 'filterLeast' | 'concurrency' | 'batch'
>;

/** What would open KV memory. */
const TIERS = [
  'kvbmHostCacheGb',
  'kvbmHostCacheBlocks',
  'kvbmDiskCacheGb',
  'kvbmDiskCacheBlocks',
  'kvbmObjectStore',
] as const satisfies readonly (keyof Settings)[];

/** The first setting that asks for a tier; null: none does. */
export const kvbmTierSetting = (settings: Settings): (typeof TIERS)[number] | null =>
  TIERS.find((tier) => settings[tier]) ?? null;

/**
 * Opens the memory that the settings ask for, once an engine knows its layout; null: they ask for none. `always`: without a size of its
 * own, host memory has `LIMITS.kvbmExchangeBytes`, through which blocks come from other workers and go there.
 */
export function kvMemoryOpener(
  settings: Settings,
  { metrics, always = false }: { metrics: Metrics; always?: boolean },
) {
  if (kvbmTierSetting(settings) === null && !always) return null;
  return (layout: BlockLayout, device: DevicePort): Promise<KvBlockManager> => {
    const sizes = kvbmOptions(settings, layout) ?? { ...commonOptions(settings), ...NO_TIERS, hostBlocks: 0 };
    const exchange = always ? Math.floor(LIMITS.kvbmExchangeBytes / blockBytes(layout)) : 0;
    const hostBlocks = sizes.hostBlocks || exchange;
    return openKvBlockManager({ ...sizes, hostBlocks, layout, device, metrics, shared: always });
  };
}

const NO_TIERS = { disk: null, object: null };

/** null: no tier is set. Throws `invalid_request` naming the setting. */
export function kvbmOptions(settings: Settings, layout: BlockLayout): Sizes | null {
  const bytes = blockBytes(layout);
  const blocks = (gb: number, count: number) => count || Math.floor((gb * GB) / bytes);
  const hostBlocks = blocks(settings.kvbmHostCacheGb, settings.kvbmHostCacheBlocks);
  const diskBlocks = blocks(settings.kvbmDiskCacheGb, settings.kvbmDiskCacheBlocks);
  const objectBlocks = settings.kvbmObjectStore === '' ? 0 : settings.kvbmObjectBlocks;
  if (hostBlocks + diskBlocks + objectBlocks === 0) return null;
  if (diskBlocks > 0 && settings.kvbmDiskFolder === '') {
    throw new StatorError('invalid_request', 'kvbm_disk_folder: a disk tier wants a folder', {
      param: 'kvbmDiskFolder',
    });
  }
  return {
    hostBlocks,
    disk: diskBlocks > 0 ? { folder: settings.kvbmDiskFolder, capacityBlocks: diskBlocks } : null,
    object: objectBlocks > 0 ? objectTier(settings, objectBlocks) : null,
    ...commonOptions(settings),
  };
}

const commonOptions = (settings: Settings) => ({
  eviction: settings.kvbmEviction,
  filterLeast: settings.kvbmDiskFilter ? 2 : 1,
  concurrency: settings.kvbmMaxConcurrentTransfers,
  batch: settings.kvbmMaxTransferBatchSize,
});

function objectTier(settings: Settings, capacityBlocks: number): KvbmOptions['object'] {
  const store = openObjectStore(settings.kvbmObjectStore, {
    endpoint: settings.kvbmObjectEndpoint || `https://s3.${settings.kvbmObjectRegion}.amazonaws.com`,
    region: settings.kvbmObjectRegion,
    accessKeyId: settings.kvbmObjectAccessKey,
    secretAccessKey: settings.kvbmObjectSecretKey,
  });
  return { store, capacityBlocks, lookUpShared: settings.kvbmObjectLookup };
}
