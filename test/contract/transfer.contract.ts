/**
 * What every way of moving blocks must do, whole: source and reader with memory of their own, over real gRPC. After each test
 * nothing may be left: no grant, no held block, no slot that is neither free nor filled.
 */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlockIdentity } from '../../gpu-sidecar/kvbm/block.ts';
import { blocksOfWord, LAYOUT } from '../gpu-sidecar/kvbm/named-blocks.ts';
import { layoutOfBytes } from '../gpu-sidecar/transfer/memory-blocks.ts';
import {
  type EndOptions,
  ReaderEnd,
  SourceEnd,
  type SourceOptions,
} from '../gpu-sidecar/transfer/transfer-ends.ts';
import { ManualTime } from '../harness/manual-time.ts';
import { soon } from '../harness/soon.ts';

export interface TransferSubject {
  name: string;
  open: EndOptions['open'];
}

const BLOCKS = 100;
const WORD = 'abcdefghijklmnopqrstuvwxyz';
const NEVER = new AbortController().signal;

/** What it pushed is there, but it does not get to say so, nor to hear anything, until `released`. */
function stuckAfterPush(open: EndOptions['open'], released: Promise<void>): EndOptions['open'] {
  return async (...options) => {
    const backend = await open(...options);
    const openPusher = backend.open.bind(backend);
    backend.open = async (description, grant) => {
      const pusher = await openPusher(description, grant);
      const push = pusher.push.bind(pusher);
      pusher.push = async (blocks) => {
        await push(blocks).finally(() => released);
      };
      return pusher;
    };
    return backend;
  };
}

export function transferContract({ name, open }: TransferSubject): void {
  const options = { layout: LAYOUT, capacityBlocks: BLOCKS, open };
  const sourceEnd = (more: Partial<SourceOptions> = {}) => SourceEnd.open({ ...options, ...more });
  const readerEnd = (more: Partial<EndOptions & { fleetToken: string }> = {}) =>
    ReaderEnd.open({ ...options, ...more });

  /** Both ends as if nothing had been, but for blocks that came whole. */
  async function nothingLeft(source: SourceEnd, reader: ReaderEnd, blocks: readonly BlockIdentity[]) {
    const came = blocks.filter((block) => reader.blocks.has(block));
    for (const block of came)
      expect(Buffer.compare(reader.blocks.bytesOf(block)!, source.blocks.bytesOf(block)!)).toBe(0);
    await soon(() => {
      expect(source.grants.size).toBe(0);
      expect(source.blocks.held).toBe(0);
      expect(reader.blocks.freeSlots).toBe(reader.blocks.arena.capacityBlocks - came.length);
    });
    expect(source.counted('transfer_held_blocks')).toBe(0);
    expect(reader.counted('transfer_quarantined_blocks')).toBe(0);
  }

  describe(`transfer by ${name}`, () => {
    test('blocks come whole and in order, and nothing stays held', async () => {
      await using source = await sourceEnd();
      await using reader = await readerEnd();
      const blocks = blocksOfWord(WORD);
      source.blocks.put(blocks);
      const progress: number[] = [];
      const onProgress = (leading: number) => void progress.push(leading);
      const result = await reader.puller.pull({ address: source.address, blocks, signal: NEVER, onProgress });
      const bytes = WORD.length * reader.blocks.arena.blockBytes;
      expect(result).toEqual({ blocks: WORD.length, fault: null, message: '', backend: name, bytes });
      expect(progress).toEqual([...progress].sort((a, b) => a - b));
      expect(progress.at(-1)).toBe(WORD.length);
      await nothingLeft(source, reader, blocks);
      expect(source.counted(`transfer_bytes_total{side="source",backend="${name}"}`)).toBe(bytes);
      expect(reader.counted(`transfer_blocks_total{side="reader",backend="${name}"}`)).toBe(WORD.length);
    });

    test('large blocks, more than are on their way at once', async () => {
      const layout = layoutOfBytes(1_048_576 + 4096);
      await using source = await sourceEnd({ layout });
      await using reader = await readerEnd({ layout });
      const blocks = blocksOfWord(WORD.repeat(3));
      source.blocks.putRandom(blocks);
      const result = await reader.puller.pull({ address: source.address, blocks, signal: NEVER });
      expect(result).toMatchObject({ blocks: blocks.length, fault: null });
      await nothingLeft(source, reader, blocks);
    });

    test('blocks that are asked for before they are computed come as they are ready', async () => {
      await using source = await sourceEnd();
      await using reader = await readerEnd();
      const blocks = blocksOfWord('abcdef');
      source.blocks.put(blocks.slice(0, 2));
      let leading = 0;
      const onProgress = (now: number) => {
        leading = now;
      };
      const pull = reader.puller.pull({ address: source.address, blocks, signal: NEVER, onProgress });
      await soon(() => expect(leading).toBe(2));
      source.blocks.put([blocks[3]!]);
      source.blocks.put([blocks[2]!]);
      await soon(() => expect(leading).toBe(4));
      source.blocks.put(blocks.slice(4));
      expect(await pull).toMatchObject({ blocks: 6, fault: null });
      await nothingLeft(source, reader, blocks);
    });

    test('a block that is there already is not moved', async () => {
      await using source = await sourceEnd();
      await using reader = await readerEnd();
      const blocks = blocksOfWord('abcd');
      source.blocks.put(blocks);
      const first = { address: source.address, signal: NEVER };
      await reader.puller.pull({ ...first, blocks: blocks.slice(0, 3) });
      const again = await reader.puller.pull({ ...first, blocks });
      expect(again).toMatchObject({ blocks: 4, fault: null, bytes: reader.blocks.arena.blockBytes });
      expect(await reader.puller.pull({ ...first, blocks })).toMatchObject({
        blocks: 4,
        bytes: 0,
        backend: null,
      });
      await nothingLeft(source, reader, blocks);
    });

    test('where room ends, the blocks before it are there', async () => {
      await using source = await sourceEnd();
      await using reader = await readerEnd({ capacityBlocks: 3 });
      const blocks = blocksOfWord('abcdef');
      source.blocks.put(blocks);
      const result = await reader.puller.pull({ address: source.address, blocks, signal: NEVER });
      expect(result).toMatchObject({ blocks: 3, fault: 'no_room' });
      await nothingLeft(source, reader, blocks);
      const none = await reader.puller.pull({
        address: source.address,
        blocks: blocksOfWord('x'),
        signal: NEVER,
      });
      expect(none).toMatchObject({ blocks: 0, fault: 'no_room' });
    });

    test('a block that will never be there ends the pull before it', async () => {
      await using source = await sourceEnd();
      await using reader = await readerEnd();
      const blocks = blocksOfWord('abcdef');
      source.blocks.put(blocks.slice(0, 3));
      source.blocks.refuse(blocks[3]!);
      const result = await reader.puller.pull({ address: source.address, blocks, signal: NEVER });
      expect(result).toMatchObject({ blocks: 3, fault: 'missing' });
      await nothingLeft(source, reader, blocks);
      expect(reader.counted(`transfer_faults_total{side="reader",backend="${name}",fault="missing"}`)).toBe(
        1,
      );
    });

    test('a bit that turned is found, counted, and its block never taken', async () => {
      await using source = await sourceEnd();
      await using reader = await readerEnd();
      const blocks = blocksOfWord('abcdef');
      source.blocks.put(blocks);
      source.blocks.flip(blocks[2]!, 12_345);
      const result = await reader.puller.pull({ address: source.address, blocks, signal: NEVER });
      expect(result).toMatchObject({ fault: 'checksum', blocks: 2 });
      expect(reader.blocks.has(blocks[2]!)).toBe(false);
      await nothingLeft(source, reader, blocks);
      expect(reader.counted(`transfer_faults_total{side="reader",backend="${name}",fault="checksum"}`)).toBe(
        1,
      );
    });

    test('blocks of another layout, element type, model or version are refused by name', async () => {
      await using source = await sourceEnd();
      const blocks = blocksOfWord('ab');
      source.blocks.put(blocks);
      const others = [
        { model: 'stator-tiny@2' },
        { dtype: 'bf16' },
        { layers: 6 },
        { format: 'test-2' },
      ] as const;
      for (const other of others) {
        await using reader = await readerEnd({ layout: { ...LAYOUT, ...other } });
        const result = await reader.puller.pull({ address: source.address, blocks, signal: NEVER });
        expect(result).toMatchObject({ blocks: 0, fault: 'layout' });
        expect(result.message).toContain(Object.keys(other)[0]);
        await nothingLeft(source, reader, blocks);
      }
    });

    test('a caller that gives up gets what is there, and everything is let go of', async () => {
      await using source = await sourceEnd();
      await using reader = await readerEnd();
      const blocks = blocksOfWord('abcdef');
      source.blocks.put(blocks.slice(0, 3));
      const caller = new AbortController();
      let leading = 0;
      const onProgress = (now: number) => {
        leading = now;
      };
      const pull = reader.puller.pull({ address: source.address, blocks, signal: caller.signal, onProgress });
      await soon(() => expect(leading).toBe(3));
      caller.abort();
      expect(await pull).toMatchObject({ blocks: 3, fault: 'aborted' });
      await nothingLeft(source, reader, blocks);
      expect(
        await reader.puller.pull({ address: source.address, blocks, signal: caller.signal }),
      ).toMatchObject({
        blocks: 0,
        fault: 'aborted',
      });
    });

    test('a lease that is not renewed runs out, and its blocks are free', async () => {
      const [atSource, atReader] = [new ManualTime(), new ManualTime()];
      await using source = await sourceEnd({ timers: atSource });
      await using reader = await readerEnd({ timers: atReader });
      const blocks = blocksOfWord('abc');
      source.blocks.put([blocks[0]!, blocks[2]!]);
      const pull = reader.puller.pull({ address: source.address, blocks, signal: NEVER });
      await soon(() => expect(reader.blocks.has(blocks[0]!)).toBe(true));
      expect(source.blocks.held).toBe(1);
      atSource.advance(10_000);
      expect(await pull).toMatchObject({ blocks: 1, fault: 'lease_ended' });
      await nothingLeft(source, reader, blocks);
      const counter = `transfer_faults_total{side="source",backend="${name}",fault="lease_ended"}`;
      expect(source.counted(counter)).toBe(1);
    });

    test('a lease that is renewed lasts as long as the reader waits', async () => {
      const atSource = new ManualTime();
      const atReader = new ManualTime();
      await using source = await sourceEnd({ timers: atSource });
      await using reader = await readerEnd({ timers: atReader });
      const blocks = blocksOfWord('ab');
      const others = blocksOfWord('xyzuvwxyzuvwxyzuvwxyzuvw');
      source.blocks.put([...blocks.slice(0, 1), ...others]);
      const pull = reader.puller.pull({ address: source.address, blocks, signal: NEVER });
      await soon(() => expect(reader.blocks.has(blocks[0]!)).toBe(true));
      // A pull of another block goes over the same connection: when it has ended, what was said before was heard.
      const heard = async () => {
        const other = { address: source.address, blocks: [others.shift()!], signal: NEVER };
        expect(await reader.puller.pull(other)).toMatchObject({ blocks: 1 });
      };
      const came = [...blocks, ...others];
      for (let i = 0; i < 12; i++) {
        atSource.advance(2_000);
        await heard();
        atReader.advance(2_000);
        await heard();
      }
      expect(source.grants.size).toBe(1);
      source.blocks.put(blocks.slice(1));
      expect(await pull).toMatchObject({ blocks: 2, fault: null });
      await nothingLeft(source, reader, came);
    });

    test('a source that says nothing has stalled', async () => {
      const atReader = new ManualTime();
      await using source = await sourceEnd({ timers: new ManualTime() });
      await using reader = await readerEnd({ timers: atReader });
      const blocks = blocksOfWord('ab');
      source.blocks.put(blocks.slice(0, 1));
      const pull = reader.puller.pull({ address: source.address, blocks, signal: NEVER });
      await soon(() => expect(reader.blocks.has(blocks[0]!)).toBe(true));
      atReader.advance(5_000);
      expect(await pull).toMatchObject({ blocks: 1, fault: 'stalled' });
      await nothingLeft(source, reader, blocks);
    });

    test('a source that is slow to stop is listened to until it has', async () => {
      const atReader = new ManualTime();
      const stuck = Promise.withResolvers<void>();
      await using source = await sourceEnd({ open: stuckAfterPush(open, stuck.promise) });
      await using reader = await readerEnd({ timers: atReader });
      const blocks = blocksOfWord('ab');
      source.blocks.put(blocks);
      const leave = new AbortController();
      const pull = reader.puller.pull({ address: source.address, blocks, signal: leave.signal });
      await soon(() => expect(source.blocks.held).toBe(2));
      leave.abort();
      let over = false;
      void pull.then(() => {
        over = true;
      });
      await soon(() => {
        atReader.advance(1_000);
        expect(over).toBe(true);
      });
      expect(await pull).toMatchObject({ fault: 'aborted' });
      stuck.resolve();
      await nothingLeft(source, reader, blocks);
    });

    test('a source that came back at the same address is asked anew', async () => {
      const blocks = blocksOfWord('abc');
      await using reader = await readerEnd();
      let port = 0;
      {
        await using source = await sourceEnd({ epoch: 1n });
        source.blocks.put(blocks);
        port = Number(source.address.split(':')[1]);
        await reader.puller.pull({ address: source.address, blocks: blocks.slice(0, 1), signal: NEVER });
      }
      await using source = await sourceEnd({ epoch: 2n, port });
      source.blocks.put(blocks);
      await soon(async () => {
        const result = await reader.puller.pull({ address: source.address, blocks, signal: NEVER });
        expect(result).toMatchObject({ blocks: 3, fault: null });
      });
      await nothingLeft(source, reader, blocks);
    });

    test('a source that leaves in the middle is unreachable, and the slots come back', async () => {
      await using reader = await readerEnd();
      const blocks = blocksOfWord('abc');
      const source = await sourceEnd();
      source.blocks.put(blocks.slice(0, 1));
      const pull = reader.puller.pull({ address: source.address, blocks, signal: NEVER });
      await soon(() => expect(reader.blocks.has(blocks[0]!)).toBe(true));
      await source[Symbol.asyncDispose]();
      expect(await pull).toMatchObject({ blocks: 1, fault: 'unreachable' });
      expect(source.blocks.held).toBe(0);
    });

    test('without the fleet token, and where nobody listens, there are no blocks', async () => {
      await using source = await sourceEnd();
      await using stranger = await readerEnd({ fleetToken: 'another' });
      const blocks = blocksOfWord('ab');
      source.blocks.put(blocks);
      const refused = await stranger.puller.pull({ address: source.address, blocks, signal: NEVER });
      expect(refused).toMatchObject({ blocks: 0, fault: 'refused' });
      const lost = await stranger.puller.pull({ address: '127.0.0.1:1', blocks, signal: NEVER });
      expect(lost).toMatchObject({ blocks: 0, fault: 'unreachable' });
      await nothingLeft(source, stranger, blocks);
    });

    test('several readers and several pulls at once', async () => {
      await using source = await sourceEnd();
      await using one = await readerEnd();
      await using other = await readerEnd();
      const blocks = blocksOfWord(WORD);
      source.blocks.put(blocks);
      const parts = [0, 1, 2, 3].map((i) => blocks.slice(i * 6, (i + 1) * 6));
      const results = await Promise.all(
        [one, other].flatMap(({ puller }) =>
          parts.map((part) => puller.pull({ address: source.address, blocks: part, signal: NEVER })),
        ),
      );
      for (const result of results) expect(result).toMatchObject({ blocks: 6, fault: null });
      await nothingLeft(source, one, blocks);
      await nothingLeft(source, other, blocks);
    });

    test('whatever is there, comes late, never comes or is damaged: a beginning of right blocks', async () => {
      await using source = await sourceEnd({ capacityBlocks: 2_000 });
      await using reader = await readerEnd();
      let run = 0;
      const fates = fc.array(fc.constantFrom('now', 'now', 'now', 'late', 'never', 'damaged', 'present'), {
        maxLength: 20,
      });
      await fc.assert(
        fc.asyncProperty(fates, async (fate) => {
          const word = fate.map((_, i) => String.fromCodePoint(0x4e00 + 40 * run + i)).join('');
          run++;
          const blocks = blocksOfWord(word);
          const of = (...wanted: string[]) => blocks.filter((_, i) => wanted.includes(fate[i]!));
          source.blocks.put(of('now', 'damaged', 'present'));
          const call = { address: source.address, signal: NEVER };
          for (const block of of('present')) await reader.puller.pull({ ...call, blocks: [block] });
          for (const block of of('damaged')) source.blocks.flip(block, 7);
          for (const block of of('never')) source.blocks.refuse(block);
          const pull = reader.puller.pull({ ...call, blocks });
          source.blocks.put(of('late'));
          const result = await pull;
          const bad = fate.findIndex((each) => each === 'never' || each === 'damaged');
          const there = bad < 0 ? blocks.length : bad;
          expect(result.fault === null).toBe(bad < 0);
          // What the fault overtook was not counted; what was damaged never is.
          expect(result.blocks).toBeLessThanOrEqual(there);
          if (bad < 0) expect(result.blocks).toBe(there);
          for (const block of blocks.slice(0, result.blocks)) expect(reader.blocks.has(block)).toBe(true);
          for (const block of of('never', 'damaged')) expect(reader.blocks.has(block)).toBe(false);
          await nothingLeft(source, reader, blocks);
          reader.blocks.clear();
        }),
        { numRuns: 25 },
      );
    });
  });
}
