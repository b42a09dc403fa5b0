/** The whole thing on real memory, real files and a real directory: restarts, damage, and workers that share. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { wallClock } from '../../../durable/runtime/clock.ts';
import { Metrics } from '../../../durable/runtime/metrics.ts';
import type { BlockIdentity } from '../../../gpu-sidecar/kvbm/block.ts';
import { blockBytes } from '../../../gpu-sidecar/kvbm/layout.ts';
import { SharedDirectory } from '../../../gpu-sidecar/kvbm/objects/shared-directory.ts';
import { type KvbmOptions, openKvBlockManager } from '../../../gpu-sidecar/kvbm/open-manager.ts';
import type { BlockEvent } from '../../../gpu-sidecar/kvbm/residency.ts';
import { blocksOfWord, bytesOf, LAYOUT } from './named-blocks.ts';

const BLOCKS = blocksOfWord('abcdefgh');
const BYTES = blockBytes(LAYOUT);

let folder = '';
let metrics: Metrics;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvbm-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function open(changes: Partial<KvbmOptions> = {}) {
  metrics = new Metrics({ prefix: 'stator' });
  return openKvBlockManager({
    layout: LAYOUT,
    device: {
      async exportBlocks(blocks) {
        for (const { identity, into } of blocks) into.set(bytesOf(identity, BYTES));
        return blocks.map(() => true);
      },
    },
    hostBlocks: 0,
    disk: { folder: join(folder, 'disk'), capacityBlocks: 16 },
    object: null,
    eviction: 'lrfu',
    filterLeast: 1,
    concurrency: 4,
    batch: 16,
    metrics,
    ...changes,
  });
}
const shared = () => ({
  disk: null,
  object: {
    store: new SharedDirectory(join(folder, 'objects'), wallClock),
    capacityBlocks: 16,
    lookUpShared: true,
  },
});
const trueBytes = (blocks: readonly BlockIdentity[]) => blocks.map((block) => bytesOf(block, BYTES));

async function store(options: Partial<KvbmOptions> = {}): Promise<void> {
  await using manager = await open(options);
  manager.stored(BLOCKS);
  await manager.whenIdle();
}

describe('a restart', () => {
  it('finds all blocks on disk, tells of them parents first, and gives back their bytes', async () => {
    await store();
    const events: BlockEvent[] = [];
    await using manager = await open({ listener: (event) => events.push(event) });
    expect(events).toEqual(BLOCKS.map((block) => ({ kind: 'stored', tier: 'disk', block, first: true })));
    expect(manager.match(BLOCKS)).toEqual({ blocks: 8, host: 0, disk: 8, object: 0 });
    using onboarding = await manager.onboard(BLOCKS);
    expect(onboarding.blocks.map(({ bytes }) => bytes.slice())).toEqual(trueBytes(BLOCKS));
    expect(manager.match(BLOCKS).host).toBe(8);
    expect(metrics.text()).toContain('stator_kvbm_blocks{tier="disk"} 8');
    expect(metrics.text()).toContain('stator_kvbm_waiting_blocks 0');
  });

  it('after damage to the file returns fewer blocks, and computes and stores the rest anew', async () => {
    await store();
    const path = join(folder, 'disk', 'blocks');
    const bytes = readFileSync(path);
    const at = bytes.indexOf(Buffer.from(bytesOf(BLOCKS[3]!, BYTES)));
    bytes[at + 77]! ^= 1;
    writeFileSync(path, bytes);
    await using manager = await open();
    using onboarding = await manager.onboard(BLOCKS);
    expect(onboarding.blocks.map(({ bytes }) => bytes.slice())).toEqual(trueBytes(BLOCKS.slice(0, 3)));
    expect(metrics.text()).toContain('stator_kvbm_faults_total{tier="disk",fault="checksum"} 1');
    manager.stored(BLOCKS);
    await manager.whenIdle();
    expect(manager.has('disk', BLOCKS[3]!.hash)).toBe(true);
  });

  it('with another model finds nothing', async () => {
    await store();
    await using manager = await open({ layout: { ...LAYOUT, model: 'stator-tiny@2' } });
    expect(manager.match(BLOCKS).blocks).toBe(0);
  });
});

describe('workers that share a directory', () => {
  it('have what others put there, without being told', async () => {
    await store(shared());
    await using manager = await open(shared());
    expect(manager.match(BLOCKS).blocks).toBe(0);
    using onboarding = await manager.onboard(BLOCKS);
    expect(onboarding.blocks.map(({ bytes }) => bytes.slice())).toEqual(trueBytes(BLOCKS));
    expect(manager.has('external', BLOCKS[7]!.hash)).toBe(true);
  });

  it('do without when they are not to look', async () => {
    await store(shared());
    const { object } = shared();
    await using manager = await open({ disk: null, object: { ...object, lookUpShared: false } });
    expect((await manager.onboard(BLOCKS)).blocks).toEqual([]);
  });

  it('never take damaged objects', async () => {
    await store(shared());
    const objects = readdirSync(join(folder, 'objects'), { recursive: true, withFileTypes: true });
    for (const entry of objects.filter((one) => one.isFile())) {
      const path = join(entry.parentPath, entry.name);
      const bytes = readFileSync(path);
      bytes[bytes.length - 1]! ^= 1;
      writeFileSync(path, bytes);
    }
    await using manager = await open(shared());
    expect((await manager.onboard(BLOCKS)).blocks).toEqual([]);
    expect(metrics.text()).toMatch(/kvbm_faults_total\{tier="object",fault="checksum"\} [1-8]/);
  });

  it('delete what they give up, and what is too much at a start', async () => {
    const count = () =>
      readdirSync(join(folder, 'objects'), { recursive: true, withFileTypes: true }).filter((entry) =>
        entry.isFile(),
      ).length;
    const { object } = shared();
    await store({ disk: null, object: { ...object, capacityBlocks: 5 } });
    expect(count()).toBe(5);
    await store({ disk: null, object: { ...object, capacityBlocks: 2 }, hostBlocks: 1 });
    expect(count()).toBeLessThanOrEqual(2);
  });
});
