/** Block events in the form of the fleet socket, against the worker's own index that hears them. */

import { describe, expect, it } from 'vitest';
import { WorkerEvents } from '../../../gpu-sidecar/fleet/worker-events.ts';
import { blocksOf } from '../../../gpu-sidecar/kvbm/block.ts';
import { Residency } from '../../../gpu-sidecar/kvbm/residency.ts';
import { TierEventLog } from '../../../gpu-sidecar/kvbm/tier-event-log.ts';
import { StorageTier } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { blocksOfWord, pathOfWord } from './named-blocks.ts';

const [A, AB, ABC] = blocksOfWord('abc') as [never, never, never];

function told(view: 'lower' | 'one') {
  const lines: string[] = [];
  const residency = new Residency();
  const name = (bytes: Uint8Array | null) =>
    bytes === null
      ? '-'
      : Array.from(new BigUint64Array(bytes.slice().buffer), (hash) =>
          'abc'.slice(0, 1 + blocksOfWord('abc').findIndex((block) => block.hash === hash)),
        ).join();
  const log = new TierEventLog(
    {
      stored: ({ parentHash, blockHashes }, tier) =>
        lines.push(`stored ${StorageTier[tier]} ${name(parentHash)} ${name(blockHashes)}`),
      removed: (blockHashes, tier) => lines.push(`removed ${StorageTier[tier]} ${name(blockHashes)}`),
    },
    view,
  );
  residency.subscribe(log.record);
  return { residency, lines };
}

describe('events of the lower tiers', () => {
  it('name their tier, and blocks that follow each other are one event', async () => {
    const { residency, lines } = told('lower');
    residency.stored('device', A);
    for (const block of [A, AB, ABC]) residency.stored('host', block);
    residency.stored('disk', AB);
    residency.stored('disk', A);
    residency.removed('host', ABC);
    residency.removed('host', AB);
    residency.removed('device', A);
    await Promise.resolve();
    expect(lines).toEqual([
      'stored HOST_PINNED - a,ab,abc',
      'stored DISK a ab',
      'stored DISK - a',
      'removed HOST_PINNED abc,ab',
    ]);
  });

  it('are what a worker tells its router', async () => {
    const events = new WorkerEvents({ ring: 8, dumpBlocksPerFrame: 8, changed: () => {} });
    const residency = new Residency();
    residency.subscribe(new TierEventLog(events, 'lower').record);
    for (const block of blocksOf(pathOfWord('abc'), 0, 3)) residency.stored('host', block);
    await Promise.resolve();
    const [dump] = [...events.dump()].filter(({ storageTier }) => storageTier === StorageTier.HOST_PINNED);
    expect([events.next, dump!.stored.map(({ blockHashes }) => blockHashes.length / 8)]).toEqual([1, [3]]);
  });
});

describe('one view of all tiers', () => {
  it('tells of a block when the first tier has it and when the last one has it no more', async () => {
    const { residency, lines } = told('one');
    for (const tier of ['device', 'host', 'disk'] as const) residency.stored(tier, A);
    residency.stored('host', A);
    for (const tier of ['device', 'host'] as const) residency.removed(tier, A);
    residency.removed('host', A);
    await Promise.resolve();
    expect(lines).toEqual(['stored DEVICE - a']);
    residency.removed('disk', A);
    await Promise.resolve();
    expect(lines.slice(1)).toEqual(['removed DEVICE a']);
    expect(residency.blocks).toBe(0);
  });
});
