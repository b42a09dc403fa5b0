/** Our kernels against the CPU's way: the same blocks from the same cells. On the stub the kernels' own text runs, thread by thread. */

import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CudaContext } from '../../../gpu-sidecar/cuda/context.ts';
import { DeviceMemory, PinnedMemory } from '../../../gpu-sidecar/cuda/memory.ts';
import { DeviceBlockMover } from '../../../gpu-sidecar/cuda/move-on-device.ts';
import { gatherOnHost, scatterOnHost } from '../../../gpu-sidecar/cuda/move-on-host.ts';
import { cacheBytes, type UniformCache, uniformLayout } from '../../../gpu-sidecar/cuda/planes.ts';
import { CudaStream } from '../../../gpu-sidecar/cuda/stream.ts';
import { aCache, cellsOf, noise } from './cache-cases.ts';
import { contextOn, cudaMachine, kernelFolder } from './machine.ts';

const machine = cudaMachine();
const folder = kernelFolder();
afterAll(() => rmSync(folder, { recursive: true }));

/** 32 KiB of keys and values a block: more pieces than one launch's threads, as in a real model. */
const LARGE: UniformCache = {
  base: 0n,
  layers: 2,
  heads: 8,
  cells: 256,
  keyVectorBytes: 256,
  valueVectorBytes: 256,
  blockSizeTokens: 16,
  order: 'token-head',
};

describe.skipIf(machine.nvrtc === null)(`blocks moved by kernels (${machine.words})`, () => {
  let context: CudaContext;
  beforeAll(() => {
    context = contextOn(machine.library);
    return () => context[Symbol.dispose]();
  });

  /** Gathers blocks on the device and compares, scatters them to other cells and compares the whole cache. */
  async function agree(shape: UniformCache, blocks: number, seed: number, where: 'device' | 'pinned') {
    const length = Number(shape.base) + cacheBytes(shape);
    const bytes = noise(length, seed);
    using memory = new DeviceMemory(context, length);
    memory.write(bytes);
    const onHost = uniformLayout(shape);
    const layout = uniformLayout({ ...shape, base: shape.base + memory.addressOf(0, length) });
    using mover = new DeviceBlockMover(context, machine.nvrtc!, { layout, maxBlocks: blocks, folder });
    const all = blocks * mover.blockBytes;
    using device = new DeviceMemory(context, all);
    using pinned = new PinnedMemory(context, all);
    using stream = new CudaStream(context);
    const address = (i: number) =>
      where === 'device'
        ? device.addressOf(i * mover.blockBytes, mover.blockBytes)
        : pinned.deviceAddressOf(i * mover.blockBytes, mover.blockBytes);
    const from = cellsOf(shape, blocks, seed);
    await mover.gather(
      stream,
      from.map((cells, i) => ({ cells, address: address(i) })),
    );
    const gathered = new Uint8Array(all);
    if (where === 'device') device.read(gathered);
    else gathered.set(pinned.bytes);
    const block = (of: Uint8Array, i: number) =>
      of.subarray(i * mover.blockBytes, (i + 1) * mover.blockBytes);
    const expected = new Uint8Array(all);
    from.forEach((cells, i) => {
      gatherOnHost(onHost, bytes, { cells, block: block(expected, i) });
    });
    expect(Buffer.compare(gathered, expected)).toBe(0);

    const to = cellsOf(shape, blocks, seed + 1);
    await mover.scatter(
      stream,
      to.map((cells, i) => ({ cells, address: address(i) })),
    );
    to.forEach((cells, i) => {
      scatterOnHost(onHost, bytes, { cells, block: block(expected, i) });
    });
    const now = new Uint8Array(length);
    memory.read(now);
    expect(Buffer.compare(now, bytes)).toBe(0);
  }

  it('are the bytes that the CPU moves, whatever the cache looks like', async () => {
    await fc.assert(
      fc.asyncProperty(
        aCache,
        fc.integer({ min: 1, max: 2 }),
        fc.nat(),
        fc.constantFrom('device', 'pinned'),
        async (shape, blocks, seed, where) => agree(shape, blocks, seed, where as 'device' | 'pinned'),
      ),
      { numRuns: 40 },
    );
  });

  it('are many at once, of the size of a real model', async () => {
    await agree(LARGE, 16, 1, 'device');
    await agree({ ...LARGE, order: 'head-token' }, 16, 2, 'pinned');
  });

  it('are checked before anything is launched', async () => {
    using memory = new DeviceMemory(context, cacheBytes(LARGE));
    const layout = uniformLayout({ ...LARGE, base: memory.addressOf(0, cacheBytes(LARGE)) });
    using mover = new DeviceBlockMover(context, machine.nvrtc!, { layout, maxBlocks: 1, folder });
    using target = new DeviceMemory(context, mover.blockBytes);
    using stream = new CudaStream(context);
    const address = target.addressOf(0, mover.blockBytes);
    const cells = Uint32Array.from({ length: 16 }, (_, i) => i);
    const outside = cells.with(7, 256);
    await expect(mover.gather(stream, [{ cells: outside, address }])).rejects.toThrow('cell 256 of 256');
    const two = [
      { cells, address },
      { cells, address },
    ];
    await expect(mover.gather(stream, two)).rejects.toThrow('2 blocks in one launch, at most 1');
    const first = mover.gather(stream, [{ cells, address }]);
    await expect(mover.scatter(stream, [{ cells, address }])).rejects.toThrow('two moves at once');
    await first;
    await mover.scatter(stream, []);
  });
});
