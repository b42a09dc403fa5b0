/** What other workers get from the manager and bring to it. */

import { expect, it } from 'vitest';
import type { ReceivingBlock } from '../../../../gpu-sidecar/kvbm/peer/receiving-block.ts';
import { blockChecksum } from '../../../../gpu-sidecar/kvbm/tiers/checksum.ts';
import { blocksOfWord, bytesOf } from '../named-blocks.ts';
import { BLOCK_BYTES, SyntheticTiers, soon } from '../synthetic-tiers.ts';

const BLOCKS = blocksOfWord('abcd');
const never = new AbortController().signal;

const pending = (promise: Promise<unknown>) => Promise.race([promise, soon().then(() => 'pending')]);

function receiving(tiers: SyntheticTiers, at: number): ReceivingBlock {
  const receiving = tiers.manager.receive(BLOCKS[at]!);
  if (receiving === null || receiving === 'present') throw new Error(`no slot: ${receiving}`);
  return receiving;
}

it('serves a block of host memory with its bytes, place and checksum', async () => {
  const tiers = new SyntheticTiers();
  expect(tiers.manager.hold(BLOCKS[0]!.hash)).toBeNull();
  tiers.compute(BLOCKS);
  await tiers.settle();
  using served = tiers.manager.hold(BLOCKS[1]!.hash)!;
  expect(served.identity).toEqual(BLOCKS[1]);
  expect(Buffer.compare(served.bytes, bytesOf(BLOCKS[1]!, BLOCK_BYTES))).toBe(0);
  expect(served.checksum).toBe(blockChecksum(BLOCKS[1]!.hash, served.bytes));
  expect(tiers.manager.clear()).toBe(3 + 4);
  expect(Buffer.compare(served.bytes, bytesOf(BLOCKS[1]!, BLOCK_BYTES))).toBe(0);
});

it('gives a block that is awaited as soon as the engine has computed it, before others that wait', async () => {
  const tiers = new SyntheticTiers({ hostBlocks: 12 });
  const asked = BLOCKS.slice(2).map((block) => tiers.manager.whenHeld(block, never));
  expect(await pending(asked[0]!)).toBe('pending');
  tiers.compute([...blocksOfWord('zyxwvu'), ...BLOCKS]);
  for (const one of await Promise.all(asked)) {
    expect(Buffer.compare(one!.bytes, bytesOf(one!.identity, BLOCK_BYTES))).toBe(0);
    one![Symbol.dispose]();
  }
  expect(tiers.urgentExports).toEqual([BLOCKS[2]!.hash, BLOCKS[3]!.hash]);
  await tiers.settle();
  expect(tiers.pools.host.inactiveBlocks).toBe(10);
});

it('copies an awaited block that the engine has had for long, and fetches one that only the disk has', async () => {
  const tiers = new SyntheticTiers();
  tiers.compute(BLOCKS);
  await tiers.settle();
  tiers.pools.host.clear();
  (await tiers.manager.whenHeld(BLOCKS[0]!, never))![Symbol.dispose]();
  expect(tiers.urgentExports).toEqual([BLOCKS[0]!.hash]);
  tiers.crash();
  (await tiers.manager.whenHeld(BLOCKS[3]!, never))![Symbol.dispose]();
  expect(tiers.stores.disk.reads).toBe(1);
});

it('answers null when the engine gave the block up before its turn, cannot export, or the waiter gives up', async () => {
  const tiers = new SyntheticTiers();
  const waiting = tiers.manager.whenHeld(BLOCKS[0]!, never);
  tiers.compute(BLOCKS.slice(0, 1));
  tiers.evict(BLOCKS.slice(0, 1));
  expect(await waiting).toBeNull();
  tiers.exportsFail = true;
  const failing = tiers.manager.whenHeld(BLOCKS[1]!, never);
  tiers.compute(BLOCKS.slice(1, 2));
  expect(await failing).toBeNull();
  const controller = new AbortController();
  const left = tiers.manager.whenHeld(BLOCKS[2]!, controller.signal);
  controller.abort();
  expect(await left).toBeNull();
  expect(await tiers.manager.whenHeld(BLOCKS[2]!, controller.signal)).toBeNull();
});

it('waits for room when all of host memory is held', async () => {
  const tiers = new SyntheticTiers({ hostBlocks: 2 });
  tiers.compute(BLOCKS.slice(0, 2));
  await tiers.settle();
  const held = BLOCKS.slice(0, 2).map(({ hash }) => tiers.manager.hold(hash)!);
  const asked = tiers.manager.whenHeld(BLOCKS[2]!, never);
  tiers.compute(BLOCKS.slice(2, 3));
  await tiers.settle();
  expect(await pending(asked)).toBe('pending');
  held[1]![Symbol.dispose]();
  using came = await asked;
  expect(came?.identity).toEqual(BLOCKS[2]);
  held[0]![Symbol.dispose]();
});

it('ends what is awaited when it ends itself', async () => {
  const tiers = new SyntheticTiers();
  const asked = tiers.manager.whenHeld(BLOCKS[0]!, never);
  await tiers.manager[Symbol.asyncDispose]();
  expect(await asked).toBeNull();
  expect(tiers.manager.receive(BLOCKS[0]!)).toBeNull();
});

it('onboards what was received, and tells of it', async () => {
  const tiers = new SyntheticTiers();
  for (const [i, block] of BLOCKS.entries()) {
    using slot = receiving(tiers, i);
    slot.bytes.set(bytesOf(block, BLOCK_BYTES));
    expect(tiers.manager.hold(block.hash)).toBeNull();
    slot.complete(blockChecksum(block.hash, slot.bytes));
  }
  expect(tiers.manager.receive(BLOCKS[0]!)).toBe('present');
  expect(tiers.manager.match(BLOCKS)).toMatchObject({ blocks: 4, host: 4 });
  using onboarding = await tiers.manager.onboard(BLOCKS);
  expect(onboarding.blocks).toHaveLength(4);
  expect(tiers.events.map(({ tier }) => tier)).toEqual(['host', 'host', 'host', 'host']);
  expect(tiers.value('kvbm_received_bytes_total')).toBe(4 * BLOCK_BYTES);
});

it('takes no bytes that are others than were sent', () => {
  const tiers = new SyntheticTiers();
  using slot = receiving(tiers, 0);
  slot.bytes.set(bytesOf(BLOCKS[0]!, BLOCK_BYTES));
  const checksum = blockChecksum(BLOCKS[0]!.hash, slot.bytes);
  slot.bytes[7]! ^= 2;
  expect(() => slot.complete(checksum)).toThrow('did not arrive');
  expect(tiers.pools.host.availableBlocks).toBe(tiers.pools.host.capacityBlocks);
  expect(tiers.value('kvbm_faults_total{tier="host",fault="checksum"}')).toBe(1);
});

it('has no slot when everything is held, and has it back when a block is dropped half received', () => {
  const tiers = new SyntheticTiers({ hostBlocks: 2 });
  const slots = [receiving(tiers, 0), receiving(tiers, 1)];
  expect(tiers.manager.receive(BLOCKS[2]!)).toBeNull();
  slots[0]![Symbol.dispose]();
  receiving(tiers, 2)[Symbol.dispose]();
  slots[1]![Symbol.dispose]();
  expect(tiers.pools.host.availableBlocks).toBe(2);
});
