/** From settings to tiers. */

import { describe, expect, it } from 'vitest';
import { settingsFromEnv } from '../../../durable/runtime/config.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Metrics } from '../../../durable/runtime/metrics.ts';
import { EVICTION_POLICIES } from '../../../gpu-sidecar/kvbm/eviction/registry.ts';
import { blockBytes } from '../../../gpu-sidecar/kvbm/layout.ts';
import { S3 } from '../../../gpu-sidecar/kvbm/objects/s3.ts';
import { SharedDirectory } from '../../../gpu-sidecar/kvbm/objects/shared-directory.ts';
import { kvbmOptions, kvMemoryOpener } from '../../../gpu-sidecar/kvbm/settings.ts';
import { LAYOUT } from './named-blocks.ts';

const optionsOf = (env: Record<string, string>) => kvbmOptions(settingsFromEnv(env), LAYOUT);

describe('settings of KV memory', () => {
  it('mean none as long as no tier has a size', () => {
    expect(optionsOf({})).toBeNull();
  });

  it('are sizes in GB, or blocks, which win', () => {
    // 20,480 bytes a block.
    expect(optionsOf({ STATOR_KVBM_HOST_CACHE_GB: '1' })!.hostBlocks).toBe(48_828);
    const both = { STATOR_KVBM_HOST_CACHE_GB: '1', STATOR_KVBM_HOST_CACHE_BLOCKS: '100' };
    expect(optionsOf(both)).toMatchObject({
      hostBlocks: 100,
      disk: null,
      object: null,
      batch: 16,
      concurrency: 4,
    });
  });

  it('want a folder for a disk tier', () => {
    expect(() => optionsOf({ STATOR_KVBM_DISK_CACHE_BLOCKS: '10' })).toThrow('a disk tier wants a folder');
    const options = optionsOf({ STATOR_KVBM_DISK_CACHE_BLOCKS: '10', STATOR_KVBM_DISK_FOLDER: '/kv' })!;
    expect(options).toMatchObject({
      disk: { folder: '/kv', capacityBlocks: 10 },
      hostBlocks: 0,
      filterLeast: 2,
    });
  });

  it('name a shared directory or a bucket', () => {
    const directory = optionsOf({ STATOR_KVBM_OBJECT_STORE: 'file:///shared/kv' })!.object!;
    expect(directory.store).toBeInstanceOf(SharedDirectory);
    const env = { STATOR_KVBM_OBJECT_STORE: 's3://bucket/kv', STATOR_KVBM_OBJECT_BLOCKS: '7' };
    const bucket = optionsOf({ ...env, STATOR_KVBM_OBJECT_LOOKUP: 'false' })!.object!;
    expect(bucket.store).toBeInstanceOf(S3);
    expect(bucket).toMatchObject({ capacityBlocks: 7, lookUpShared: false });
  });

  it.each(Object.keys(EVICTION_POLICIES))('let eviction be %s', (name) => {
    const options = optionsOf({ STATOR_KVBM_HOST_CACHE_BLOCKS: '1', STATOR_KVBM_EVICTION: name });
    expect(options!.eviction).toBe(name);
  });
});

describe('opening KV memory', () => {
  const device = { exportBlocks: async () => [] };
  const metrics = () => new Metrics({ prefix: 'stator' });

  it('is not done where no setting asks for it', () => {
    expect(kvMemoryOpener(settingsFromEnv({}), { metrics: metrics() })).toBeNull();
  });

  it('makes the tiers of the settings', async () => {
    const opener = kvMemoryOpener(settingsFromEnv({ STATOR_KVBM_HOST_CACHE_BLOCKS: '3' }), {
      metrics: metrics(),
    })!;
    await using manager = await opener(LAYOUT, device);
    expect(manager.status()).toMatchObject([{ tier: 'host', capacityBlocks: 3 }]);
    expect(manager.layout).toEqual(LAYOUT);
  });

  it('makes room for transfers alone where blocks only come and go', async () => {
    await using manager = await kvMemoryOpener(settingsFromEnv({}), { metrics: metrics(), always: true })!(
      LAYOUT,
      device,
    );
    const capacityBlocks = Math.floor(LIMITS.kvbmExchangeBytes / blockBytes(LAYOUT));
    expect(manager.status()).toMatchObject([{ tier: 'host', capacityBlocks }]);
  });
});
