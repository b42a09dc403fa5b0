/**
 * NVIDIA's compiler as a library (`libnvrtc`, of CUDA 12 or 13): a kernel's source becomes machine code for one architecture. It
 * needs no GPU and no driver. Takes 140 ms of CPU on the event loop, so before a worker serves, and once a machine (`kernel-cache.ts`).
 *
 * Machine code and not PTX: a driver loads machine code of its own major version however old it is, while PTX of a newer
 * minor version than its own is refused.
 */

import koffi from 'koffi';
import { StatorError } from '../../durable/runtime/errors.ts';
import { declareCalls, type NativeArgument, type NativeCall, openLibrary } from './native-library.ts';

export const NVRTC_CALLS = {
  nvrtcVersion: 'int *major, int *minor',
  nvrtcGetNumSupportedArchs: 'int *numArchs',
  nvrtcGetSupportedArchs: 'int *supportedArchs',
  nvrtcCreateProgram:
    'nvrtcProgram *prog, const char *src, const char *name, int numHeaders, ' +
    'const char * const *headers, const char * const *includeNames',
  nvrtcCompileProgram: 'nvrtcProgram prog, int numOptions, const char * const *options',
  nvrtcGetCUBINSize: 'nvrtcProgram prog, size_t *cubinSizeRet',
  nvrtcGetCUBIN: 'nvrtcProgram prog, char *cubin',
  nvrtcGetProgramLogSize: 'nvrtcProgram prog, size_t *logSizeRet',
  nvrtcGetProgramLog: 'nvrtcProgram prog, char *log',
  nvrtcDestroyProgram: 'nvrtcProgram *prog',
} as const;

type NvrtcCall = keyof typeof NVRTC_CALLS;

/** The functions again, without those whose words we would ask for. */
const ERROR_CALL = 'const char *nvrtcGetErrorString(nvrtcResult result)';

export interface KernelSource {
  /** What error messages call it. */
  name: string;
  text: string;
  options?: readonly string[];
}

export interface Nvrtc {
  /** `12.9`, part of what names a compiled kernel. */
  readonly version: string;
  readonly path: string;
  /** `sm_90`, … */
  readonly architectures: readonly string[];
  /** Throws `engine_error` with the compiler's own words. */
  compile(source: KernelSource, architecture: string): Uint8Array;
}

let named = false;

/** The compiler, or the message that says what to install. `library`: setting `nvrtcLibrary`; empty: the usual places. */
export function openNvrtc({ library }: { library: string }): Nvrtc | { problem: string } {
  const found = openLibrary({
    path: library,
    names: ['libnvrtc.so.12', 'libnvrtc.so.13'],
    wheels: ['nvidia/cuda_nvrtc/lib', 'nvidia/cu13/lib'],
  });
  if ('problem' in found) {
    return {
      problem:
        `there is no NVRTC here (${found.problem}): install the CUDA toolkit or the Python package nvidia-cuda-nvrtc-cu12, ` +
        'or say where libnvrtc is (--nvrtc-library)',
    };
  }
  if (!named) {
    koffi.alias('nvrtcResult', 'int');
    koffi.alias('nvrtcProgram', 'uint64');
    named = true;
  }
  const calls = declareCalls(found.library, 'nvrtcResult', NVRTC_CALLS);
  const words = found.library.func(ERROR_CALL) as unknown as (status: number) => string;
  return new Compiler(calls, { words, path: found.path });
}

class Compiler implements Nvrtc {
  readonly version: string;
  readonly path: string;
  readonly architectures: readonly string[];
  readonly #calls: Record<NvrtcCall, NativeCall>;
  readonly #words: (status: number) => string;

  constructor(
    calls: Record<NvrtcCall, NativeCall>,
    { words, path }: { words: (status: number) => string; path: string },
  ) {
    this.#calls = calls;
    this.#words = words;
    this.path = path;
    const major = new Int32Array(1);
    const minor = new Int32Array(1);
    this.#call('nvrtcVersion', major, minor);
    this.version = `${major[0]}.${minor[0]}`;
    const count = new Int32Array(1);
    this.#call('nvrtcGetNumSupportedArchs', count);
    const numbers = new Int32Array(count[0]!);
    this.#call('nvrtcGetSupportedArchs', numbers);
    this.architectures = [...numbers].map((number) => `sm_${number}`);
  }

  compile({ name, text, options = [] }: KernelSource, architecture: string): Uint8Array {
    if (!this.architectures.includes(architecture)) {
      const known = this.architectures.join(', ');
      throw new StatorError(
        'engine_error',
        `NVRTC ${this.version} cannot compile for ${architecture}, only for ${known}; install another (--nvrtc-library)`,
      );
    }
    const program = new BigUint64Array(1);
    this.#call('nvrtcCreateProgram', program, text, name, 0, null, null);
    try {
      const all = [`--gpu-architecture=${architecture}`, ...options];
      const status = this.#calls.nvrtcCompileProgram(program[0]!, all.length, all);
      if (status !== 0) {
        const log = Buffer.from(this.#bytes('nvrtcGetProgramLog', program[0]!))
          .toString()
          .replace(/[\s\0]+$/, '');
        throw new StatorError(
          'engine_error',
          `NVRTC ${this.version}, ${name}: ${this.#words(status)}: ${log}`,
        );
      }
      return this.#bytes('nvrtcGetCUBIN', program[0]!);
    } finally {
      this.#call('nvrtcDestroyProgram', program);
    }
  }

  #bytes(call: 'nvrtcGetCUBIN' | 'nvrtcGetProgramLog', program: bigint): Uint8Array {
    const size = new BigUint64Array(1);
    this.#call(`${call}Size`, program, size);
    const bytes = new Uint8Array(Number(size[0]));
    this.#call(call, program, bytes);
    return bytes;
  }

  #call(name: NvrtcCall, ...args: NativeArgument[]): void {
    const status = this.#calls[name](...args);
    if (status !== 0) throw new StatorError('engine_error', `${name} failed: ${this.#words(status)}`);
  }
}
