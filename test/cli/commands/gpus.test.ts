/** What `stator gpus` says of a machine with a GPU (the stub driver's) and of one without, and its exit code. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../../cli/paths.ts';
import { stubLibrary } from '../../gpu-sidecar/cuda/stub-library.ts';

const stub = stubLibrary();

function gpus(library: string, ...flags: string[]) {
  const libraries = ['cuda', 'nvml', 'nvrtc'].map((name) => `--${name}-library=${library}`);
  const args = [join(PROJECT_ROOT, 'cli', 'main.ts'), 'gpus', ...libraries, ...flags];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { status, stdout };
}

describe('stator gpus', () => {
  it('says what a machine without a GPU lacks, one line each', () => {
    const { status, stdout } = gpus('/nowhere/lib.so');
    expect(status).toBe(3);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^no GPU \(library\): there is no NVIDIA driver library here/),
      expect.stringMatching(/^metrics: there is no NVML here/),
      expect.stringMatching(/^kernels: there is no NVRTC here/),
      '',
    ]);
  });

  it.skipIf('problem' in stub)('shows a GPU and what it does, to people and to machines', () => {
    const path = 'path' in stub ? stub.path : '';
    const { status, stdout } = gpus(path);
    expect(status).toBe(0);
    expect(stdout.split('\n')).toEqual([
      '0  Stub GPU 0  sm_90, 132 multiprocessors, 1.1 GB  0000:1B:00.0  GPU-00102030-4050-6070-8090-a0b0c0d0e0f0  (driver: CUDA 12.9)',
      '   NVML 0: 37 % busy, 41.0 GB in use, 54 °C, 321.5 W, 2 processes',
      `kernels: NVRTC 12.9 (${path})`,
      '',
    ]);
    expect(JSON.parse(gpus(path, '--json').stdout)).toMatchObject({
      lacks: null,
      devices: [{ ordinal: 0, name: 'Stub GPU 0', architecture: 'sm_90', memoryBytes: 2 ** 30 }],
      figures: [
        { uuid: 'GPU-00102030-4050-6070-8090-a0b0c0d0e0f0', processes: [{ pid: 4711 }, { pid: 4712 }] },
      ],
    });
  });
});
