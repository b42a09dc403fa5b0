/** Memory, streams, events: what Stator asks of the CUDA driver, on a real one where there is one, else on the stub. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { CudaContext } from '../../../gpu-sidecar/cuda/context.ts';
import { cudaDevices, deviceLine } from '../../../gpu-sidecar/cuda/device.ts';
import { openCuda } from '../../../gpu-sidecar/cuda/driver.ts';
import { CudaEvent } from '../../../gpu-sidecar/cuda/event.ts';
import { exportMemory, PeerMemory } from '../../../gpu-sidecar/cuda/ipc.ts';
import { DeviceMemory, PinnedMemory, RegisteredMemory } from '../../../gpu-sidecar/cuda/memory.ts';
import { CudaStream } from '../../../gpu-sidecar/cuda/stream.ts';
import { HostArena } from '../../../gpu-sidecar/kvbm/tiers/host-arena.ts';
import { contextOn, cudaMachine } from './machine.ts';

const machine = cudaMachine();
const MEBIBYTE = 1_048_576;

const pattern = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 255);

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
  return 'none';
};

describe.skipIf(machine.kind === 'none')(`a GPU (${machine.words})`, () => {
  let context: CudaContext;
  beforeAll(() => {
    context = contextOn(machine.library);
    return () => context[Symbol.dispose]();
  });

  it('is described', () => {
    const cuda = openCuda({ library: machine.library });
    if (!cuda.ok) throw new Error(cuda.reason);
    const [first] = cudaDevices(cuda.driver);
    expect(first).toMatchObject({
      ordinal: 0,
      name: expect.stringMatching(/\w/),
      uuid: expect.stringMatching(/^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
      architecture: expect.stringMatching(/^sm_\d{2,3}$/),
      pciBusId: expect.stringMatching(/^[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.0$/),
    });
    expect(first!.memoryBytes).toBeGreaterThan(MEBIBYTE);
    expect(deviceLine(cuda.driver, first!)).toContain(first!.architecture);
  });

  it('keeps bytes that are copied at once', () => {
    using memory = new DeviceMemory(context, MEBIBYTE);
    memory.write(pattern(MEBIBYTE));
    memory.write(pattern(100, 7), 5_000);
    const back = new Uint8Array(200);
    memory.read(back, 4_950);
    const expected = pattern(MEBIBYTE);
    expected.set(pattern(100, 7), 5_000);
    expect(Buffer.compare(back, expected.subarray(4_950, 5_150))).toBe(0);
  });

  it('copies in a stream, between pinned memory and memory of its own', async () => {
    using stream = new CudaStream(context);
    using pinned = new PinnedMemory(context, 3 * MEBIBYTE);
    using one = new DeviceMemory(context, MEBIBYTE);
    using two = new DeviceMemory(context, MEBIBYTE);
    const bytes = pattern(MEBIBYTE);
    pinned.bytes.set(bytes, MEBIBYTE);
    stream.toDevice({ memory: one }, { memory: pinned, offset: MEBIBYTE }, MEBIBYTE);
    stream.onDevice({ memory: two, offset: 64 }, { memory: one, offset: 128 }, 1_000);
    stream.toHost({ memory: pinned }, { memory: two, offset: 64 }, 1_000);
    stream.toHost({ memory: pinned, offset: 2 * MEBIBYTE }, { memory: one }, MEBIBYTE);
    await stream.done();
    expect(Buffer.compare(pinned.bytes.subarray(0, 1_000), bytes.subarray(128, 1_128))).toBe(0);
    expect(Buffer.compare(pinned.bytes.subarray(2 * MEBIBYTE), bytes)).toBe(0);
  });

  it('copies from and to the arena of the host tier, pinned where it is', async () => {
    const arena = new HostArena({ capacityBlocks: 8, blockBytes: MEBIBYTE });
    const bytes = pattern(MEBIBYTE, 3);
    arena.block(2).set(bytes);
    {
      using stream = new CudaStream(context);
      const whole = new Uint8Array(arena.block(0).buffer, arena.block(0).byteOffset, 8 * MEBIBYTE);
      using pinned = new RegisteredMemory(context, whole);
      using memory = new DeviceMemory(context, MEBIBYTE);
      stream.toDevice({ memory }, { memory: pinned, offset: 2 * MEBIBYTE }, MEBIBYTE);
      stream.toHost({ memory: pinned, offset: 5 * MEBIBYTE }, { memory }, MEBIBYTE);
      await stream.done();
    }
    expect(Buffer.compare(arena.block(5), bytes)).toBe(0);
    arena.close();
  });

  it('orders streams by events, and says how long the device took', async () => {
    using first = new CudaStream(context);
    using second = new CudaStream(context);
    using begun = new CudaEvent(context, { timing: true });
    using written = new CudaEvent(context, { timing: true });
    using pinned = new PinnedMemory(context, 2 * MEBIBYTE);
    using memory = new DeviceMemory(context, MEBIBYTE);
    const bytes = pattern(MEBIBYTE, 9);
    pinned.bytes.set(bytes);
    begun.record(first.handle);
    for (let i = 0; i < 5; i++) first.toDevice({ memory }, { memory: pinned }, MEBIBYTE);
    written.record(first.handle);
    second.waitFor(written);
    second.toHost({ memory: pinned, offset: MEBIBYTE }, { memory }, MEBIBYTE);
    await Promise.all([second.done(), written.done()]);
    expect(written.ended()).toBe(true);
    expect(written.elapsedMs(begun)).toBeGreaterThan(0);
    expect(Buffer.compare(pinned.bytes.subarray(MEBIBYTE), bytes)).toBe(0);
  });

  it('refuses more memory than there is, and goes on', () => {
    const { totalBytes, freeBytes } = context.memory();
    expect(freeBytes).toBeLessThanOrEqual(totalBytes);
    expect(() => new DeviceMemory(context, 4 * totalBytes)).toThrow(
      /cuMemAlloc_v2.*CUDA_ERROR_OUT_OF_MEMORY/,
    );
    new DeviceMemory(context, 4_096)[Symbol.dispose]();
  });

  it('is never asked for bytes outside of an allocation, or of one that is gone', () => {
    using stream = new CudaStream(context);
    using pinned = new PinnedMemory(context, 100);
    const memory = new DeviceMemory(context, 100);
    expect(codeOf(() => memory.write(new Uint8Array(101)))).toBe('internal');
    expect(codeOf(() => memory.read(new Uint8Array(1), -1))).toBe('internal');
    expect(codeOf(() => stream.toDevice({ memory, offset: 50 }, { memory: pinned }, 51))).toBe('internal');
    expect(codeOf(() => stream.toHost({ memory: pinned, offset: 99 }, { memory }, 2))).toBe('internal');
    memory[Symbol.dispose]();
    memory[Symbol.dispose]();
    expect(codeOf(() => memory.write(new Uint8Array(1)))).toBe('internal');
  });

  it('says what was forgotten when a context ends, and ends when it is gone', () => {
    const own = contextOn(machine.library);
    const memory = new DeviceMemory(own, 64);
    const stream = new CudaStream(own);
    expect(() => own[Symbol.dispose]()).toThrow('1 × device memory, 1 × stream');
    memory[Symbol.dispose]();
    stream[Symbol.dispose]();
    own[Symbol.dispose]();
    expect(codeOf(() => own.memory())).toBe('internal');
  });

  it('does not open its own memory as a peer, nor what is no handle', () => {
    using memory = new DeviceMemory(context, 4_096);
    const handle = exportMemory(memory);
    expect(handle).toHaveLength(64);
    expect(codeOf(() => new PeerMemory(context, { handle, bytes: 4_096 }))).toBe('engine_error');
    expect(codeOf(() => new PeerMemory(context, { handle: handle.subarray(1), bytes: 4_096 }))).toBe(
      'invalid_frame',
    );
  });
});
