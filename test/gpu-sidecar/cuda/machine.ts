/**
 * On what the suites of this folder run: the real driver where `libcuda.so.1` shows a device (and STATOR_TEST_CUDA is not `stub`), else
 * the stub, else nothing, with the reason in the name of the suites that could not run.
 */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CudaContext } from '../../../gpu-sidecar/cuda/context.ts';
import { cudaDevices } from '../../../gpu-sidecar/cuda/device.ts';
import { openCuda } from '../../../gpu-sidecar/cuda/driver.ts';
import { type Nvrtc, openNvrtc } from '../../../gpu-sidecar/cuda/nvrtc.ts';
import { stubLibrary } from './stub-library.ts';

export interface Machine {
  /** For the names of suites. */
  words: string;
  /** What `openCuda` is given. */
  library: string;
  kind: 'real' | 'stub' | 'none';
  nvrtc: Nvrtc | null;
}

export function cudaMachine(): Machine {
  if (process.env['STATOR_TEST_CUDA'] !== 'stub') {
    const real = openCuda({ library: '' });
    if (real.ok) {
      const nvrtc = openNvrtc({ library: process.env['STATOR_NVRTC_LIBRARY'] ?? '' });
      const found = 'problem' in nvrtc ? null : nvrtc;
      const name = cudaDevices(real.driver)[0]!.name;
      const words = found === null ? `on ${name}, kernels not run: no NVRTC` : `on ${name}`;
      return { words, library: '', kind: 'real', nvrtc: found };
    }
  }
  const stub = stubLibrary();
  if ('problem' in stub) {
    return { words: `NOT RUN: no GPU, and ${stub.problem}`, library: '', kind: 'none', nvrtc: null };
  }
  const nvrtc = openNvrtc({ library: stub.path });
  if ('problem' in nvrtc) throw new Error(nvrtc.problem);
  return { words: 'on the stub driver', library: stub.path, kind: 'stub', nvrtc };
}

/** A context on the first device. */
export function contextOn(library: string): CudaContext {
  const cuda = openCuda({ library });
  if (!cuda.ok) throw new Error(cuda.reason);
  return new CudaContext(cuda.driver, cudaDevices(cuda.driver)[0]!);
}

export const kernelFolder = (): string => mkdtempSync(join(tmpdir(), 'stator-kernels-'));
