/** What engines publish, in the shapes that vLLM and SGLang write (built by hand here), and a whole engine's stream over real ZMQ sockets. */

import { encode } from '@msgpack/msgpack';
import { afterEach, describe, expect, it } from 'vitest';
import { Publisher, Router } from 'zeromq';
import { packed } from '../../../durable/runtime/event-plane/router-event.ts';
import { Logger } from '../../../durable/runtime/log.ts';
import { wasmBlockHasher } from '../../../gpu-sidecar/engines/wasm-hasher.ts';
import { WorkerEvents } from '../../../gpu-sidecar/fleet/worker-events.ts';
import { StorageTier } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { BatchOrder } from '../../../gpu-sidecar/zmq/batch-order.ts';
import { decodeEngineBatch } from '../../../gpu-sidecar/zmq/engine-batch.ts';
import { tellEngineEvent } from '../../../gpu-sidecar/zmq/engine-events.ts';
import { followEngine } from '../../../gpu-sidecar/zmq/engine-subscriber.ts';
import { soon } from '../../harness/soon.ts';

const BLOCK = 4;
const pack = (value: unknown) => encode(value, { useBigInt64: true });
const stored = (hash: bigint, parent: bigint | null, first: number, changes: object = {}) => ({
  type: 'BlockStored',
  block_hashes: [hash],
  parent_block_hash: parent,
  token_ids: [first, first + 1, first + 2, first + 3],
  block_size: BLOCK,
  lora_id: null,
  medium: 'GPU',
  lora_name: null,
  ...changes,
});
const batch = (...events: unknown[]) => pack([1795168879.578, events, 0]);
const events = (ring = 64) => new WorkerEvents({ ring, dumpBlocksPerFrame: 100, changed: () => {} });
const localHash = (first: number) =>
  wasmBlockHasher.hash(Uint32Array.of(first, first + 1, first + 2, first + 3), {
    blockSizeTokens: BLOCK,
    seed: 1337n,
  }).local;

const tell = (payload: Uint8Array, sink: WorkerEvents) =>
  decodeEngineBatch(payload).events.map((event) => tellEngineEvent(event, BLOCK, sink));

describe('events of an engine', () => {
  it('come as maps or as arrays, their tokens hashed as the fleet does', () => {
    for (const event of [
      stored(2n ** 64n - 5n, null, 10),
      ['BlockStored', [2n ** 64n - 5n], null, [10, 11, 12, 13], BLOCK, null, 'GPU'],
    ]) {
      const sink = events();
      expect(tell(batch(event), sink)).toEqual([null]);
      const [{ data }] = sink.since(0) as [
        ReturnType<WorkerEvents['since']> extends (infer E)[] | null ? E : never,
      ];
      expect(data.case).toBe('stored');
      if (data.case !== 'stored') return;
      expect(data.value.blockHashes).toEqual(packed([2n ** 64n - 5n]));
      expect(new Uint32Array(data.value.tokensHashes.slice().buffer)).toEqual(localHash(10));
    }
  });

  it('have signed hashes with SGLang and bytes with some of vLLM', () => {
    const bytes = new Uint8Array(32).fill(1);
    const [signed, long] = decodeEngineBatch(
      batch(
        { type: 'BlockRemoved', block_hashes: [-5n], medium: 'GPU' },
        { type: 'BlockRemoved', block_hashes: [bytes] },
      ),
    ).events;
    expect(signed).toMatchObject({ blockHashes: packed([2n ** 64n - 5n]) });
    expect(long).toMatchObject({ blockHashes: packed([0x0101_0101_0101_0101n]) });
  });

  it('say in which memory a block is', () => {
    const sink = events();
    tell(
      batch(stored(1n, null, 0, { medium: 'CPU_PINNED' }), stored(2n, null, 4, { medium: 'STORAGE' })),
      sink,
    );
    expect(sink.since(0)?.map(({ storageTier }) => storageTier)).toEqual([
      StorageTier.HOST_PINNED,
      StorageTier.DISK,
    ]);
  });

  it('of a window of attention, or of another machine, are passed over', () => {
    const { events, passedOver } = decodeEngineBatch(
      batch(
        stored(1n, null, 0, { kv_cache_spec_kind: 'sliding_window' }),
        stored(2n, null, 0, { locality: 'REMOTE' }),
        stored(3n, null, 0, { kv_cache_spec_kind: 'full_attention', group_idx: 0 }),
      ),
    );
    expect([events.length, passedOver]).toEqual([1, 2]);
  });

  it('keep adapters and salts apart', () => {
    const hashes = [{}, { lora_name: 'a' }, { cache_salt: 's' }].map((changes) => {
      const sink = events();
      tell(batch(stored(1n, null, 0, changes)), sink);
      const data = sink.since(0)![0]!.data;
      return data.case === 'stored' ? data.value.tokensHashes.join() : '';
    });
    expect(new Set(hashes).size).toBe(3);
  });

  it('of another block size, of half a block or of an unknown kind are refused', () => {
    expect(tell(batch(stored(1n, null, 0, { block_size: 8 })), events())[0]).toMatch(/card says 4/);
    expect(tell(batch(stored(1n, null, 0, { token_ids: [1] })), events())[0]).toMatch(/not whole blocks/);
    expect(() => decodeEngineBatch(batch({ type: 'BlockLost' }))).toThrow(/unknown kind BlockLost/);
  });
});

describe('the order of batches', () => {
  const order = (canReplay: boolean) => new BatchOrder<string>({ canReplay, mostWaiting: 2 });
  const b = (number: number) => ({ number, content: String(number) });

  it('asks for a gap, applies it before what waited, and clears what nobody has', () => {
    const one = order(true);
    expect(one.live(b(0))).toEqual([{ do: 'apply', content: '0' }]);
    expect(one.live(b(2))).toEqual([{ do: 'replay', from: 1 }]);
    expect(one.live(b(3))).toEqual([]);
    expect(one.replayed(b(1))).toEqual([{ do: 'apply', content: '1' }]);
    expect(one.replayed(b(2))).toEqual([{ do: 'apply', content: '2' }]);
    expect(one.replayEnded()).toEqual([{ do: 'apply', content: '3' }]);
    expect(one.live(b(9))).toEqual([{ do: 'replay', from: 4 }]);
    expect(one.replayEnded()).toEqual([{ do: 'clear' }, { do: 'apply', content: '9' }]);
  });

  it('takes a number that falls back for a new life', () => {
    const one = order(false);
    one.live(b(0));
    one.live(b(1));
    expect(one.live(b(0))).toEqual([{ do: 'clear' }, { do: 'apply', content: '0' }]);
    expect(one.live(b(5))).toEqual([{ do: 'clear' }, { do: 'apply', content: '5' }]);
  });
});

describe('an engine on ZMQ', () => {
  const ends: (() => unknown)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });
  const u64 = (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(value);
    return bytes;
  };

  it('is followed from its first batch on, though the follower came late', async () => {
    const publisher = new Publisher({ linger: 0 });
    const router = new Router({ linger: 0 });
    ends.push(
      () => publisher.close(),
      () => router.close(),
    );
    await publisher.bind('tcp://127.0.0.1:*');
    await router.bind('tcp://127.0.0.1:*');
    const all = Array.from({ length: 4 }, (_, at) =>
      batch(stored(BigInt(at + 1), at === 0 ? null : BigInt(at), 4 * at)),
    );
    void (async () => {
      for await (const [reader, , from] of router) {
        const first = Number(from!.readBigUInt64BE());
        for (let number = first; number < 3; number++) {
          await router.send([reader!, '', 'kv-events', u64(BigInt(number)), all[number]!]);
        }
        await router.send([reader!, '', '', Buffer.alloc(8, 0xff), '']);
      }
    })();
    const sink = events();
    const follower = await followEngine({
      endpoint: publisher.lastEndpoint!,
      replayEndpoint: router.lastEndpoint!,
      topic: 'kv-events',
      blockSizeTokens: BLOCK,
      sink,
      count: () => {},
      log: new Logger({ component: 'test', level: 'error', write: () => {} }),
    });
    ends.push(() => follower.close());
    await soon(async () => {
      await publisher.send(['kv-events', u64(3n), all[3]!]);
      expect(sink.next).toBeGreaterThan(0);
    });
    await soon(() => expect(sink.blocks).toBe(4));
  });
});
