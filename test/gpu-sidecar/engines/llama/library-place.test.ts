/** Does who asks for layers on a GPU get one, or hear what is missing? Nobody may compute on the CPU unawares. */

import { describe, expect, it } from 'vitest';
import { libraryPlace } from '../../../../gpu-sidecar/engines/llama/library-place.ts';
import { stubLibrary, unopenedStub } from '../../cuda/stub-library.ts';

const stub = stubLibrary();
const NOWHERE = '/nowhere/libcuda.so.1';

describe('the prebuilt llama.cpp', () => {
  it("is the platform's package while no layer shall be on a GPU, whatever the machine has", () => {
    const { folder, cuda } = libraryPlace({ gpuLayers: 0, cudaLibrary: NOWHERE });
    expect(cuda).toBe(false);
    expect(folder).toMatch(/@node-llama-cpp\/[a-z0-9-]+\/bins\/[a-z0-9-]+$/);
  });

  it('with CUDA is not made for every machine, and other machines have none at all', () => {
    const wish = { gpuLayers: 1, cudaLibrary: NOWHERE };
    expect(() => libraryPlace(wish, 'linux-arm64')).toThrow(
      'there is no prebuilt llama.cpp with CUDA for linux-arm64; leave --gpu-layers out',
    );
    expect(() => libraryPlace({ ...wish, gpuLayers: 0 }, 'sunos-x64')).toThrow('use --engine mock');
  });

  it('is not looked for where there is no GPU: the message is the one of the driver', () => {
    expect(() => libraryPlace({ gpuLayers: 99, cudaLibrary: NOWHERE }, 'linux-x64')).toThrow(
      /^--gpu-layers 99: there is no NVIDIA driver library here .*leave --gpu-layers out$/,
    );
  });

  it.skipIf('problem' in stub)('with CUDA is told how to install, in the version of the other', () => {
    const cudaLibrary = unopenedStub('path' in stub ? stub.path : '');
    let told = '';
    try {
      told = libraryPlace({ gpuLayers: 99, cudaLibrary }, 'linux-x64').folder;
    } catch (thrown) {
      told = (thrown as Error).message;
    }
    expect(told).toMatch(
      /bins\/linux-x64-cuda$|^the package @node-llama-cpp\/linux-x64-cuda is not installed .*npm install --no-save @node-llama-cpp\/linux-x64-cuda@\d+\.\d+\.\d+\)$/,
    );
  });
});
