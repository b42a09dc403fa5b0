/**
 * Which prebuilt llama.cpp a worker takes: the package of its platform, or for layers on an NVIDIA GPU the one with CUDA, which is no
 * dependency (181 MB, and CUDA 13's libcudart and libcublas beside it). Whoever asks for a GPU gets one or is told what is
 * missing: llama.cpp by itself would quietly compute on the CPU.
 */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { openCuda } from '../../cuda/driver.ts';

/** npm package by platform and processor. */
const PACKAGES: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-arm64': 'mac-arm64-metal',
};

/** Those of the same release with CUDA. */
const CUDA_PACKAGES: Readonly<Record<string, string>> = { 'linux-x64': 'linux-x64-cuda' };

export interface GpuWish {
  /** 0: the CPU. */
  gpuLayers: number;
  /** Setting `cudaLibrary`. */
  cudaLibrary: string;
}

export interface LibraryPlace {
  /** The folder with the shared libraries. */
  folder: string;
  /** Layers shall be on an NVIDIA GPU. */
  cuda: boolean;
}

/** Throws StatorError `engine_error` saying what this machine lacks. */
export function libraryPlace(wish: GpuWish, machine = `${process.platform}-${process.arch}`): LibraryPlace {
  // Metal is in the only package that there is for a Mac.
  const cuda = wish.gpuLayers > 0 && !machine.startsWith('darwin');
  const name = (cuda ? CUDA_PACKAGES : PACKAGES)[machine];
  if (name === undefined) {
    const advice = cuda ? 'leave --gpu-layers out' : 'use --engine mock';
    throw new StatorError(
      'engine_error',
      `there is no prebuilt llama.cpp${cuda ? ' with CUDA' : ''} for ${machine}; ${advice}`,
    );
  }
  if (cuda) requireGpu(wish);
  const folder = installed(name);
  if (folder === null) {
    const how = cuda
      ? `layers on a GPU want it: npm install --no-save @node-llama-cpp/${name}@${installedVersion(PACKAGES[machine])}`
      : 'npm install --include=optional';
    throw new StatorError('engine_error', `the package @node-llama-cpp/${name} is not installed (${how})`);
  }
  return { folder, cuda };
}

function requireGpu({ gpuLayers, cudaLibrary }: GpuWish): void {
  const gpu = openCuda({ library: cudaLibrary });
  if (gpu.ok) return;
  throw new StatorError(
    'engine_error',
    `--gpu-layers ${gpuLayers}: ${gpu.reason}; or leave --gpu-layers out`,
    {
      param: 'gpuLayers',
    },
  );
}

const require = createRequire(import.meta.url);

function installed(name: string): string | null {
  try {
    return join(dirname(dirname(require.resolve(`@node-llama-cpp/${name}`))), 'bins', name);
  } catch {
    // Not there, or not for this platform: the caller says how to get it.
    return null;
  }
}

/** Version of the package that is a dependency: the one with CUDA has to be of the same release. */
function installedVersion(name = ''): string {
  const folder = installed(name);
  if (folder === null) return 'latest';
  return (require(join(folder, '..', '..', 'package.json')) as { version: string }).version;
}
