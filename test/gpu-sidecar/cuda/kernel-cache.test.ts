/** A kernel is compiled once for what it is made of; a cache that is broken, foreign or not writable costs a compilation only. */

import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compiledKernel } from '../../../gpu-sidecar/cuda/kernel-cache.ts';
import { blockKernels } from '../../../gpu-sidecar/cuda/move-on-device.ts';
import { openNvrtc } from '../../../gpu-sidecar/cuda/nvrtc.ts';
import { stubLibrary } from './stub-library.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stator-kernels-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function compilerOf(version = '12.9') {
  const compiled: string[] = [];
  const compile = ({ text }: { text: string }, architecture: string) => {
    compiled.push(architecture);
    return Buffer.from(`code of ${text} for ${architecture} by ${version}`);
  };
  return { compiled, version, compile };
}

const SOURCE = { name: 'k.cu', text: 'kernel' };

describe('the cache of kernels', () => {
  it('compiles once for a source, its options, an architecture and a compiler', () => {
    const compiler = compilerOf();
    const options = { architecture: 'sm_90', folder };
    const first = compiledKernel(compiler, SOURCE, options);
    expect(Buffer.compare(first, compiledKernel(compiler, SOURCE, options))).toBe(0);
    expect(compiler.compiled).toEqual(['sm_90']);
    compiledKernel(compiler, { ...SOURCE, text: 'other' }, options);
    compiledKernel(compiler, { ...SOURCE, options: ['-G'] }, options);
    compiledKernel(compiler, SOURCE, { architecture: 'sm_80', folder });
    expect(compiler.compiled).toHaveLength(4);
    const newer = compilerOf('13.0');
    expect(compiledKernel(newer, SOURCE, options).toString()).toContain('by 13.0');
    expect(readdirSync(folder)).toHaveLength(5);
  });

  it('compiles again what was cut off or changed on disk', () => {
    const compiler = compilerOf();
    const options = { architecture: 'sm_90', folder };
    const good = Buffer.from(compiledKernel(compiler, SOURCE, options));
    const file = join(folder, readdirSync(folder)[0]!);
    const kept = readFileSync(file);
    for (const bad of [
      kept.subarray(0, 40),
      Buffer.alloc(0),
      Buffer.concat([kept, kept]),
      kept.fill(1, 50, 51),
    ]) {
      writeFileSync(file, bad);
      expect(Buffer.compare(compiledKernel(compiler, SOURCE, options), good)).toBe(0);
    }
    expect(compiler.compiled).toHaveLength(5);
  });

  it('does without a folder that cannot be written', () => {
    const compiler = compilerOf();
    writeFileSync(join(folder, 'file'), '');
    chmodSync(folder, 0o500);
    const inside = { architecture: 'sm_90', folder: join(folder, 'file', 'kernels') };
    expect(compiledKernel(compiler, SOURCE, inside).toString()).toContain('sm_90');
    expect(compiledKernel(compiler, SOURCE, inside).toString()).toContain('sm_90');
    expect(compiler.compiled).toHaveLength(2);
    chmodSync(folder, 0o700);
  });
});

const stub = stubLibrary();

describe.skipIf('problem' in stub)('a compiler', () => {
  const nvrtc = openNvrtc({ library: 'path' in stub ? stub.path : '' });

  it('gives machine code, or its own words', () => {
    if ('problem' in nvrtc) throw new Error(nvrtc.problem);
    expect(nvrtc).toMatchObject({ version: '12.9', architectures: ['sm_80', 'sm_90'] });
    const code = Buffer.from(nvrtc.compile(blockKernels(), 'sm_90')).toString();
    expect(code).toContain('stator_gather_blocks');
    expect(() => nvrtc.compile({ name: 'bad.cu', text: '#error no' }, 'sm_90')).toThrow(
      /bad\.cu: NVRTC_ERROR_COMPILATION: .*#error directive$/,
    );
    expect(() => nvrtc.compile(blockKernels(), 'sm_999')).toThrow(
      'cannot compile for sm_999, only for sm_80, sm_90',
    );
  });

  it('that is not there is a message that says what to install', () => {
    expect(openNvrtc({ library: '/nowhere/libnvrtc.so.12' })).toEqual({
      problem: expect.stringMatching(/no NVRTC.*\/nowhere.*nvidia-cuda-nvrtc-cu12.*--nvrtc-library/),
    });
  });
});
