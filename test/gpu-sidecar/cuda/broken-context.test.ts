/** A kernel that fails takes its context with it. In a file of its own: the process's driver is of no more use after it. */

import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { DeviceMemory } from '../../../gpu-sidecar/cuda/memory.ts';
import { DeviceBlockMover } from '../../../gpu-sidecar/cuda/move-on-device.ts';
import { openNvrtc } from '../../../gpu-sidecar/cuda/nvrtc.ts';
import { uniformLayout } from '../../../gpu-sidecar/cuda/planes.ts';
import { CudaStream } from '../../../gpu-sidecar/cuda/stream.ts';
import { contextOn, kernelFolder } from './machine.ts';
import { stubLibrary } from './stub-library.ts';

const stub = stubLibrary();
const words = 'problem' in stub ? `NOT RUN: ${stub.problem}` : 'on the stub driver';
const folder = kernelFolder();
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf('problem' in stub)(`a kernel that fails (${words})`, () => {
  it('rejects its own move and every later one, and what is left can still be disposed', async () => {
    const library = 'path' in stub ? stub.path : '';
    const nvrtc = openNvrtc({ library });
    if ('problem' in nvrtc) throw new Error(nvrtc.problem);
    const context = contextOn(library);
    {
      using memory = new DeviceMemory(context, 4_096);
      using target = new DeviceMemory(context, 4_096);
      const layout = uniformLayout({
        base: memory.addressOf(0, 4_096),
        layers: 1,
        heads: 1,
        cells: 8,
        keyVectorBytes: 64,
        valueVectorBytes: 64,
        blockSizeTokens: 2,
        order: 'token-head',
      });
      using mover = new DeviceBlockMover(context, nvrtc, { layout, maxBlocks: 1, folder });
      using stream = new CudaStream(context);
      const block = { cells: Uint32Array.of(1, 2), address: target.addressOf(0, 256) };
      process.env['STUB_CUDA_FAULTS'] = 'kernel=719';
      await expect(mover.gather(stream, [block])).rejects.toThrow('CUDA_ERROR_LAUNCH_FAILED');
      delete process.env['STUB_CUDA_FAULTS'];
      await expect(mover.gather(stream, [block])).rejects.toThrow('CUDA_ERROR_LAUNCH_FAILED');
      expect(context.broken).toBe(true);
      expect(() => target.read(new Uint8Array(1))).toThrow('CUDA_ERROR_LAUNCH_FAILED');
    }
    context[Symbol.dispose]();
  });
});
