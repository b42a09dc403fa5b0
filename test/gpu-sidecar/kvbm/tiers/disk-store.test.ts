/** The disk tier on real files: what survives a restart, and that damage of any kind is found out. */

import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord } from '../../../../gpu-sidecar/kvbm/tiers/block-record.ts';
import { DiskStore } from '../../../../gpu-sidecar/kvbm/tiers/disk-store.ts';
import { toTierFault } from '../../../../gpu-sidecar/kvbm/tiers/tier-store.ts';
import { blocksOfWord, bytesOf, describedBlock } from '../named-blocks.ts';

const BLOCK_BYTES = 4096;
const BLOCKS = blocksOfWord('abcd');
const layout = '00000000000000aa';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvbm-disk-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (changes = {}) =>
  DiskStore.open({ folder, capacityBlocks: 4, blockBytes: BLOCK_BYTES, layout, ...changes });

/** Writes blocks to their slots, last one first. */
async function filled(): Promise<DiskStore> {
  const { store } = await open();
  for (const [slot, identity] of [...BLOCKS.entries()].reverse())
    await store.write(slot, describedBlock(identity, BLOCK_BYTES), bytesOf(identity, BLOCK_BYTES));
  return store;
}

const read = async (store: DiskStore, slot: number) => {
  const into = new Uint8Array(BLOCK_BYTES);
  await store.read(slot, describedBlock(BLOCKS[slot]!, BLOCK_BYTES), into);
  return into;
};
const faultOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (thrown) => toTierFault(thrown).fault,
  );

function damage(file: 'blocks' | 'index', at: number): void {
  const path = join(folder, file);
  const bytes = readFileSync(path);
  bytes[at]! ^= 0x10;
  writeFileSync(path, bytes);
}

describe('the disk tier', () => {
  it('has all its blocks after a restart, parents first', async () => {
    await (await filled()).close();
    const { store, found } = await open();
    expect(found.dropped).toBe(0);
    expect(found.blocks.map(({ slot }) => slot)).toEqual([0, 1, 2, 3]);
    expect(found.blocks.map(({ described }) => described.identity)).toEqual(BLOCKS);
    for (const slot of BLOCKS.keys())
      expect(await read(store, slot)).toEqual(bytesOf(BLOCKS[slot]!, BLOCK_BYTES));
    await store.close();
  });

  it('takes the room for all its blocks at the start', async () => {
    await (await open()).store.close();
    expect(readFileSync(join(folder, 'blocks')).length).toBe(4 * BLOCK_BYTES);
  });

  it('finds out any flipped bit of a block', async () => {
    const store = await filled();
    await fc.assert(
      fc.asyncProperty(fc.nat(4 * BLOCK_BYTES - 1), async (at) => {
        damage('blocks', at);
        expect(await faultOf(read(store, Math.floor(at / BLOCK_BYTES)))).toBe('checksum');
        damage('blocks', at);
      }),
      { numRuns: 100 },
    );
    await store.close();
  });

  it('drops records with any flipped bit, and counts them', async () => {
    await (await filled()).close();
    await fc.assert(
      fc.asyncProperty(fc.nat(4 * 64 - 1), async (at) => {
        const before = readFileSync(join(folder, 'index'));
        damage('index', at);
        const { store, found } = await open();
        expect([found.dropped, found.blocks.length]).toEqual([1, 3]);
        expect(found.blocks.map(({ slot }) => slot)).not.toContain(Math.floor(at / 64));
        await store.close();
        writeFileSync(join(folder, 'index'), before);
      }),
      { numRuns: 100 },
    );
  });

  it('knows a torn write of bytes, of a record, and an index that was cut', async () => {
    await (await filled()).close();
    truncateSync(join(folder, 'index'), 2 * 64 + 10);
    truncateSync(join(folder, 'blocks'), BLOCK_BYTES + 100);
    const { store, found } = await open();
    expect(found.blocks.map(({ slot }) => slot)).toEqual([0, 1]);
    expect(await faultOf(read(store, 0))).toBe('none');
    expect(await faultOf(read(store, 1))).toBe('checksum');
    truncateSync(join(folder, 'blocks'), BLOCK_BYTES + 100);
    expect(await faultOf(read(store, 1))).toBe('short_read');
    await store.close();
  });

  it('has no record of a block whose overwriting was cut off', async () => {
    const store = await filled();
    // A write that never comes to its record, because its bytes are none.
    const cut = store.write(1, describedBlock(BLOCKS[0]!, BLOCK_BYTES), null as unknown as Uint8Array);
    expect(await faultOf(cut)).toBe('io');
    await store.close();
    const { store: again, found } = await open();
    expect(found.blocks.map(({ slot }) => slot)).toEqual([0, 2, 3]);
    await again.close();
  });

  it('killed at any moment, has whole blocks under their names, or faults', async () => {
    const names = blocksOfWord('abababab');
    let [whole, faults] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(7), { minLength: 1, maxLength: 12 }), async (writes) => {
        const { store } = await open({ capacityBlocks: 3 });
        // Writes of a slot follow each other, those of several slots overlap.
        const lanes: Promise<void>[] = [0, 1, 2].map(() => Promise.resolve());
        for (const name of writes) {
          const block = names[name]!;
          lanes[name % 3] = lanes[name % 3]!.then(() =>
            store.write(name % 3, describedBlock(block, BLOCK_BYTES), bytesOf(block, BLOCK_BYTES)),
          );
        }
        // What a process that is killed now leaves behind: the files as they are, and its lock.
        await Promise.race(lanes);
        const left = mkdtempSync(join(tmpdir(), 'kvbm-left-'));
        for (const file of ['index', 'blocks']) copyFileSync(join(folder, file), join(left, file));
        const { store: again, found } = await open({ folder: left, capacityBlocks: 3 });
        for (const { slot, described } of found.blocks) {
          const into = new Uint8Array(BLOCK_BYTES);
          const fault = await faultOf(again.read(slot, described, into));
          if (fault === 'none') expect(into).toEqual(bytesOf(described.identity, BLOCK_BYTES));
          if (fault === 'none') whole++;
          else faults++;
        }
        await again.close();
        rmSync(left, { recursive: true });
        await Promise.all(lanes);
        await store.close();
      }),
      { numRuns: 100 },
    );
    expect(whole).toBeGreaterThan(0);
    expect(faults).toBeLessThan(whole);
  });

  it('shows blocks of one layout to none of another', async () => {
    await (await filled()).close();
    const { store, found } = await open({ layout: '00000000000000ab' });
    expect([found.dropped, found.blocks.length]).toEqual([4, 0]);
    await store.close();
  });

  it('is smaller after a restart with fewer blocks', async () => {
    await (await filled()).close();
    const { store, found } = await open({ capacityBlocks: 2 });
    expect(found.blocks.map(({ slot }) => slot)).toEqual([0, 1]);
    await store.close();
  });

  it('has its folder alone, and takes over that of a process that died', async () => {
    const { store } = await open();
    expect(await faultOf(open())).toBe('denied');
    await store.close();
    writeFileSync(join(folder, 'lock'), '4194304 17 another-boot');
    await (await open()).store.close();
    // The number of this very process in another life, as in a container.
    writeFileSync(join(folder, 'lock'), `${process.pid} 17 another-boot`);
    await (await open()).store.close();
  });

  it('says at the start that there is no room', async () => {
    expect(await faultOf(open({ capacityBlocks: 2 ** 40 }))).toMatch(/no_space|io/);
    await (await open()).store.close();
  });
});

describe('a record', () => {
  it('comes back as it was written, from arbitrary bytes not at all', () => {
    const u64 = fc.bigInt(0n, 2n ** 64n - 1n);
    const identity = fc.record({
      hash: u64,
      parent: fc.option(u64),
      tokensHash: u64,
      position: fc.nat(2 ** 31),
    });
    fc.assert(
      fc.property(identity, u64, fc.nat(2 ** 31), (identity, checksum, length) => {
        const bytes = encodeRecord({ identity, checksum }, length, layout);
        expect(decodeRecord(bytes, length, layout)).toEqual({ identity, checksum });
        expect(decodeRecord(bytes, length + 1, layout)).toBeNull();
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => decodeRecord(bytes, 1, layout) === null),
    );
  });
});
