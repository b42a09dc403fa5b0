/**
 * NVIDIA's own headers and compiler, from PyPI, without a GPU: is every function, number and struct that Stator declares the one in
 * cuda.h, nvml.h and nvrtc.h; is the stub driver one by the same headers; and do our kernels compile.
 */

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DRIVER_CALLS,
  DRIVER_CONSTANTS,
  IPC_HANDLE_BYTES,
  UUID_BYTES,
} from '../../gpu-sidecar/cuda/driver-declarations.ts';
import { compiledKernel } from '../../gpu-sidecar/cuda/kernel-cache.ts';
import { blockKernels } from '../../gpu-sidecar/cuda/move-on-device.ts';
import { NVML_CALLS, NVML_CONSTANTS, NVML_STRUCTS } from '../../gpu-sidecar/cuda/nvml-declarations.ts';
import { NVRTC_CALLS, type Nvrtc, openNvrtc } from '../../gpu-sidecar/cuda/nvrtc.ts';
import { compileC, STUB_SOURCES } from '../gpu-sidecar/cuda/stub-library.ts';
import { pythonWithPackages } from './python.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-cuda-'));
afterAll(() => rmSync(folder, { recursive: true }));

let packages = '';
beforeAll(async () => {
  const environment = dirname(dirname(await pythonWithPackages()));
  process.env['VIRTUAL_ENV'] = environment;
  const lib = join(environment, 'lib');
  const [python = ''] = readdirSync(lib).filter((name) => name.startsWith('python3'));
  packages = join(lib, python, 'site-packages', 'nvidia');
}, 600_000);

const HEADERS = {
  cuda: { header: 'cuda.h', folder: 'cuda_runtime', stub: '-DWITH_CUDA_H' },
  nvml: { header: 'nvml.h', folder: 'nvml_dev', stub: '-DWITH_NVML_H' },
  nvrtc: { header: 'nvrtc.h', folder: 'cuda_nvrtc', stub: '-DWITH_NVRTC_H' },
} as const;

const include = ({ folder: name }: { folder: string }) => `-I${join(packages, name, 'include')}`;

/** Compiles statements behind a header; the compiler's words when it refuses. */
function againstHeader(which: keyof typeof HEADERS, lines: readonly string[]): string {
  const source = join(folder, `${which}.c`);
  writeFileSync(
    source,
    [`#include <${HEADERS[which].header}>`, '#include <stddef.h>', ...lines, ''].join('\n'),
  );
  const built = compileC(['-Werror', '-fsyntax-only', include(HEADERS[which]), source]);
  return built.ok ? '' : built.problem;
}

/** A second declaration: an error unless it is the header's. */
const redeclared = (status: string, calls: Readonly<Record<string, string>>): string[] =>
  Object.entries(calls).map(([name, args]) => `extern ${status} ${name}(${args});`);
const equal = (left: string, right: number): string =>
  `_Static_assert((int)(${left}) == ${right}, "${left}");`;
const numbers = (constants: Readonly<Record<string, number>>): string[] =>
  Object.entries(constants).map(([name, value]) => equal(name, value));

const compiler = compileC(['--version']);
if (!compiler.ok) console.warn(`NOT RUN: declarations against NVIDIA's headers: ${compiler.problem}`);

describe.skipIf(!compiler.ok)("NVIDIA's headers", () => {
  it('declare the driver as we do', () => {
    const sizes = [equal('sizeof(CUuuid)', UUID_BYTES), equal('sizeof(CUipcMemHandle)', IPC_HANDLE_BYTES)];
    const lines = [...redeclared('CUresult', DRIVER_CALLS), ...numbers(DRIVER_CONSTANTS), ...sizes];
    expect(againstHeader('cuda', lines)).toBe('');
  });

  it('declare NVML as we do', () => {
    const structs = Object.entries(NVML_STRUCTS).flatMap(([name, { bytes, ...fields }]) => [
      equal(`sizeof(${name})`, bytes),
      ...Object.entries(fields).map(([field, at]) => equal(`offsetof(${name}, ${field})`, at)),
    ]);
    const lines = [...redeclared('nvmlReturn_t', NVML_CALLS), ...numbers(NVML_CONSTANTS), ...structs];
    lines.push('extern const char *nvmlErrorString(nvmlReturn_t result);');
    expect(againstHeader('nvml', lines)).toBe('');
  });

  it('declare NVRTC as we do', () => {
    const lines = redeclared('nvrtcResult', NVRTC_CALLS);
    lines.push('extern const char *nvrtcGetErrorString(nvrtcResult result);');
    expect(againstHeader('nvrtc', lines)).toBe('');
  });

  it('would tell a wrong argument, a wrong number and a wrong size', () => {
    expect(againstHeader('cuda', ['extern CUresult cuMemFree_v2(CUdeviceptr *dptr);'])).toContain(
      'conflicting',
    );
    expect(againstHeader('cuda', [equal('CU_STREAM_NON_BLOCKING', 2)])).toContain('static assertion failed');
    expect(againstHeader('nvml', [equal('sizeof(nvmlMemory_t)', 32)])).toContain('static assertion failed');
  });

  it('are those by which the stub driver is one', () => {
    const defined = Object.values(HEADERS).flatMap((header) => [header.stub, include(header)]);
    const object = join(folder, 'stub.so');
    const built = compileC(['-shared', '-fPIC', '-Wall', '-o', object, ...defined, ...STUB_SOURCES]);
    expect(built).toEqual({ ok: true });
  });
});

const ELF = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);
const CUDA_MACHINE = 190;

describe("NVIDIA's compiler", () => {
  const open = (): Nvrtc => {
    const nvrtc = openNvrtc({ library: '' });
    if ('problem' in nvrtc) throw new Error(nvrtc.problem);
    return nvrtc;
  };

  it.each(['sm_80', 'sm_90', 'sm_100', 'sm_120'])(
    'makes machine code of our kernels for %s, with both entries',
    (architecture) => {
      const code = Buffer.from(open().compile(blockKernels(), architecture));
      expect(code.subarray(0, 4)).toEqual(ELF);
      expect(code.readUInt16LE(18)).toBe(CUDA_MACHINE);
      for (const entry of ['stator_gather_blocks', 'stator_scatter_blocks']) {
        expect(code.includes(`.text.${entry}\0`)).toBe(true);
      }
    },
  );

  it('is asked once for a kernel', () => {
    const nvrtc = open();
    const options = { architecture: 'sm_90', folder: join(folder, 'kernels') };
    const first = compiledKernel(nvrtc, blockKernels(), options);
    const again = { version: nvrtc.version, compile: () => expect.unreachable() };
    expect(Buffer.compare(first, compiledKernel(again, blockKernels(), options))).toBe(0);
  });

  it('says in its own words what is wrong, and for which architectures it compiles', () => {
    const bad = { name: 'bad.cu', text: 'extern "C" __global__ void f(int *p) { *p = nothing; }' };
    expect(() => open().compile(bad, 'sm_90')).toThrow(
      /bad\.cu: NVRTC_ERROR_COMPILATION: .*"nothing" is undefined/s,
    );
    expect(() => open().compile(blockKernels(), 'sm_20')).toThrow('cannot compile for sm_20, only for sm_50');
  });
});
