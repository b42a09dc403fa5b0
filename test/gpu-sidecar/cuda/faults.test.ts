/** What a machine can lack and what a driver can refuse, each made to happen by the stub driver: the message, and that nothing is left. */

import { rmSync } from 'node:fs';
import koffi from 'koffi';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CudaContext } from '../../../gpu-sidecar/cuda/context.ts';
import { cudaDevices } from '../../../gpu-sidecar/cuda/device.ts';
import { type CudaDriver, cudaStatusOf, openCuda } from '../../../gpu-sidecar/cuda/driver.ts';
import { CudaEvent } from '../../../gpu-sidecar/cuda/event.ts';
import { DeviceMemory, PinnedMemory, RegisteredMemory } from '../../../gpu-sidecar/cuda/memory.ts';
import { DeviceBlockMover } from '../../../gpu-sidecar/cuda/move-on-device.ts';
import { openNvrtc } from '../../../gpu-sidecar/cuda/nvrtc.ts';
import { uniformLayout } from '../../../gpu-sidecar/cuda/planes.ts';
import { CudaStream } from '../../../gpu-sidecar/cuda/stream.ts';
import { kernelFolder } from './machine.ts';
import { stubLibrary, unopenedStub } from './stub-library.ts';

const stub = stubLibrary();
const path = 'path' in stub ? stub.path : '';
const words = 'problem' in stub ? `NOT RUN: ${stub.problem}` : 'made by the stub driver';
const folder = kernelFolder();
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => forget());
afterEach(() => forget());

function forget(): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('STUB_')) delete process.env[name];
}

function faults(text: string): void {
  process.env['STUB_CUDA_FAULTS'] = text;
}

const lacks = (library: string) => {
  const answer = openCuda({ library });
  return answer.ok ? 'nothing' : `${answer.lacks}: ${answer.reason}`;
};

describe('a machine without', () => {
  it('the library is told to install the driver, or to say where it is', () => {
    expect(lacks('/nowhere/libcuda.so.1')).toMatch(
      /^library: there is no NVIDIA driver library here \(\/nowhere\/libcuda\.so\.1: .*No such file.*--gpus all.*--cuda-library/,
    );
  });

  it('a library that is CUDA is told which function is missing', () => {
    expect(lacks('libc.so.6')).toMatch(
      /^driver: libc\.so\.6 is no usable NVIDIA driver: this library has no cuInit/,
    );
  });
});

describe.skipIf('problem' in stub)(`faults of a driver, ${words}`, () => {
  const openDriver = (): CudaDriver => {
    const cuda = openCuda({ library: path });
    if (!cuda.ok) throw new Error(cuda.reason);
    return cuda.driver;
  };
  const open = (): CudaContext => {
    const driver = openDriver();
    return new CudaContext(driver, cudaDevices(driver)[0]!);
  };
  const live = () => {
    const count = koffi.load(path).func('int stub_cuda_live(int kind)');
    return Array.from({ length: 8 }, (_, kind) => count(kind) as number);
  };
  const NOTHING = [0, 0, 0, 0, 0, 0, 0, 0];
  const thrownBy = (act: () => unknown): Error => {
    try {
      act();
    } catch (thrown) {
      return thrown as Error;
    }
    throw new Error('nothing was thrown');
  };

  it('that does not start are told with what to look at', () => {
    faults('cuInit=803');
    expect(lacks(unopenedStub(path))).toMatch(
      /^driver: the NVIDIA driver does not start \(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, system has .*nvidia-smi.*kernel module/,
    );
    faults('cuInit=12345');
    expect(lacks(unopenedStub(path))).toMatch(/does not start \(status 12345\)/);
  });

  it('that is too old are told with both versions', () => {
    process.env['STUB_CUDA_VERSION'] = '11040';
    expect(lacks(unopenedStub(path))).toMatch(/^driver: .*too old: it speaks CUDA 11\.4, 12\.0 is needed/);
  });

  it('that shows no GPU are told with what hides one', () => {
    process.env['STUB_CUDA_DEVICES'] = '0';
    expect(lacks(unopenedStub(path))).toMatch(/^device: .*shows no GPU.*CUDA_VISIBLE_DEVICES/);
    forget();
    faults('cuDeviceGetCount=100');
    expect(lacks(unopenedStub(path))).toMatch(/^device: /);
  });

  it('keep the first answer for a library, because a driver starts once', () => {
    const library = unopenedStub(path);
    process.env['STUB_CUDA_DEVICES'] = '0';
    expect(lacks(library)).toMatch(/^device/);
    forget();
    expect(lacks(library)).toMatch(/^device/);
    expect(lacks(unopenedStub(path))).toBe('nothing');
  });

  it('name the call, the error and its words', () => {
    const driver = openDriver();
    faults('cuDevicePrimaryCtxRetain=101');
    const thrown = thrownBy(() => new CudaContext(driver, cudaDevices(driver)[0]!));
    expect(thrown).toMatchObject({
      code: 'engine_error',
      message: 'cuDevicePrimaryCtxRetain failed: CUDA_ERROR_INVALID_DEVICE, invalid device ordinal',
    });
    expect(cudaStatusOf(thrown)).toBe(101);
    expect(cudaStatusOf(new Error('else'))).toBe(null);
    expect(live()).toEqual(NOTHING);
  });

  it('are no leak: what could not be made is not counted as open', () => {
    using context = open();
    for (const [call, make] of [
      ['cuMemAlloc_v2', () => new DeviceMemory(context, 64)],
      ['cuMemHostAlloc', () => new PinnedMemory(context, 64)],
      ['cuMemHostRegister_v2', () => new RegisteredMemory(context, new Uint8Array(4_096))],
      ['cuStreamCreate', () => new CudaStream(context)],
      ['cuEventCreate', () => new CudaEvent(context)],
    ] as const) {
      faults(`${call}=2`);
      expect(cudaStatusOf(thrownBy(make))).toBe(2);
      forget();
      make()[Symbol.dispose]();
    }
    expect(live()).toEqual([...NOTHING.slice(0, 7), 0].with(7, live()[7]!));
  });

  it('in the middle of a copy reject its wait, and leave the next copy well', async () => {
    using context = open();
    using stream = new CudaStream(context);
    using pinned = new PinnedMemory(context, 64);
    using memory = new DeviceMemory(context, 64);
    stream.toDevice({ memory }, { memory: pinned }, 64);
    faults('cuEventQuery=700');
    await expect(stream.done()).rejects.toThrow('cuEventQuery failed: CUDA_ERROR_ILLEGAL_ADDRESS');
    forget();
    expect(context.broken).toBe(true);
    await stream.done();
  });

  it('of memory that ends while a copy needs it are told', async () => {
    using context = open();
    using stream = new CudaStream(context);
    using pinned = new PinnedMemory(context, 64);
    const memory = new DeviceMemory(context, 64);
    stream.toDevice({ memory }, { memory: pinned }, 64);
    expect(() => memory[Symbol.dispose]()).toThrow('cuMemFree_v2 failed: CUDA_ERROR_INVALID_VALUE');
    await stream.done();
  });

  it('in making a mover give back what it had', () => {
    using context = open();
    const nvrtc = openNvrtc({ library: path });
    if ('problem' in nvrtc) throw new Error(nvrtc.problem);
    const layout = uniformLayout({
      base: 0n,
      layers: 1,
      heads: 1,
      cells: 4,
      keyVectorBytes: 16,
      valueVectorBytes: 16,
      blockSizeTokens: 2,
      order: 'token-head',
    });
    const before = live();
    for (const call of [
      'cuModuleLoadData',
      'cuModuleGetFunction',
      'cuMemAlloc_v2',
      'cuMemHostAlloc',
      'cuMemcpyHtoD_v2',
    ]) {
      faults(`${call}=1`);
      expect(
        cudaStatusOf(thrownBy(() => new DeviceBlockMover(context, nvrtc, { layout, maxBlocks: 1, folder }))),
      ).toBe(1);
      forget();
      expect(live()).toEqual(before);
    }
    const broken = { version: '0', compile: () => Buffer.from('neither text nor ELF') };
    expect(() => new DeviceBlockMover(context, broken, { layout, maxBlocks: 1, folder })).toThrow(
      'CUDA_ERROR_INVALID_IMAGE',
    );
  });
});
