/**
 * The CUDA driver of this machine (`libcuda.so.1`), opened and asked whether it can work. Three things may be missing, the
 * library, a driver that answers, a device; each has its own message that says what to do, and none is an exception:
 * `openCuda` returns it, so that who wants a GPU can refuse and who can do without takes the CPU.
 *
 * Calls are checked: a status other than success is a StatorError `engine_error` with the driver's own name and words.
 */

import koffi, { type LibraryHandle } from 'koffi';
import { StatorError } from '../../durable/runtime/errors.ts';
import {
  DRIVER_CALLS,
  DRIVER_CONSTANTS,
  type DriverCall,
  FIRST_CALLS,
  LEAST_DRIVER_VERSION,
  nameDriverTypes,
} from './driver-declarations.ts';
import { declareCalls, type NativeArgument, type NativeCall, openLibrary } from './native-library.ts';

/** What a machine lacks. */
export type Lacking = 'library' | 'driver' | 'device';

export type CudaAvailability =
  | { readonly ok: true; readonly driver: CudaDriver }
  | { readonly ok: false; readonly lacks: Lacking; readonly reason: string };

export interface CudaPlace {
  /** Path of the driver library (setting `cudaLibrary`); empty: the system's. */
  library: string;
}

/** What a process asked for once stays: the driver cannot be initialised differently later. */
const opened = new Map<string, CudaAvailability>();

/** The driver, or what is missing. Never throws; the first call initialises the driver, later ones cost nothing. */
export function openCuda({ library }: CudaPlace): CudaAvailability {
  let known = opened.get(library);
  if (known === undefined) {
    known = open(library);
    opened.set(library, known);
  }
  return known;
}

/** The driver of a machine that has all it takes. Made by `openCuda`. */
export class CudaDriver {
  /** CUDA version that it speaks, as 1000 × major + 10 × minor. */
  readonly version: number;
  readonly deviceCount: number;
  readonly path: string;
  readonly #calls: Readonly<Record<DriverCall, NativeCall>>;

  constructor(
    calls: Readonly<Record<DriverCall, NativeCall>>,
    facts: { version: number; deviceCount: number; path: string },
  ) {
    this.#calls = calls;
    this.version = facts.version;
    this.deviceCount = facts.deviceCount;
    this.path = facts.path;
  }

  /** Throws `engine_error` for any status but success. */
  call(name: DriverCall, ...args: NativeArgument[]): void {
    const status = this.#calls[name](...args);
    if (status !== DRIVER_CONSTANTS.CUDA_SUCCESS) throw callError(this.#calls, name, status);
  }

  /** The bare status, for calls of which more than one is good. */
  status(name: DriverCall, ...args: NativeArgument[]): number {
    return this.#calls[name](...args);
  }

  error(name: DriverCall, status: number): StatorError {
    return callError(this.#calls, name, status);
  }
}

/** The driver's number of what went wrong; null when the error is not the driver's. */
export function cudaStatusOf(thrown: unknown): number | null {
  const status = thrown instanceof StatorError ? thrown.report?.['cuda_status'] : undefined;
  return typeof status === 'number' ? status : null;
}

function open(path: string): CudaAvailability {
  if (process.platform !== 'linux') {
    return missing('library', `CUDA is used on Linux only, this is ${process.platform}; the CPU is used`);
  }
  const found = openLibrary({ path, names: ['libcuda.so.1'] });
  if ('problem' in found) {
    return missing(
      'library',
      `there is no NVIDIA driver library here (${found.problem}): install NVIDIA's driver, in a container start it ` +
        'with the GPU (--gpus all), or say where the library is (--cuda-library)',
    );
  }
  try {
    return initialise(found.library, found.path);
  } catch (thrown) {
    return missing('driver', `${found.path} is no usable NVIDIA driver: ${(thrown as Error).message}`);
  }
}

function initialise(library: LibraryHandle, path: string): CudaAvailability {
  nameDriverTypes();
  const first = declareCalls(library, 'CUresult', FIRST_CALLS);
  const version = new Int32Array(1);
  first.cuDriverGetVersion(version);
  const speaks = version[0]!;
  if (speaks > 0 && speaks < LEAST_DRIVER_VERSION) {
    return missing(
      'driver',
      `the NVIDIA driver is too old: it speaks CUDA ${versionText(speaks)}, ${versionText(LEAST_DRIVER_VERSION)} is needed; install a newer driver`,
    );
  }
  const status = first.cuInit(0);
  const count = new Int32Array(1);
  if (status === DRIVER_CONSTANTS.CUDA_ERROR_NO_DEVICE) return noDevice();
  if (status !== DRIVER_CONSTANTS.CUDA_SUCCESS) {
    return missing(
      'driver',
      `the NVIDIA driver does not start (${errorWords(first, status)}): look whether nvidia-smi works, whether the kernel ` +
        "module has the library's version (a restart after an update), and whether /dev/nvidia* may be read",
    );
  }
  if (first.cuDeviceGetCount(count) !== DRIVER_CONSTANTS.CUDA_SUCCESS || count[0] === 0) return noDevice();
  const calls = declareCalls(library, 'CUresult', DRIVER_CALLS);
  return { ok: true, driver: new CudaDriver(calls, { version: speaks, deviceCount: count[0]!, path }) };
}

const noDevice = (): CudaAvailability =>
  missing(
    'device',
    'the NVIDIA driver works but shows no GPU: look at CUDA_VISIBLE_DEVICES and nvidia-smi -L, and in a container at --gpus',
  );

const missing = (lacks: Lacking, reason: string): CudaAvailability => ({ ok: false, lacks, reason });

/** `12.9` of 12090. */
export const versionText = (version: number): string =>
  `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;

type ErrorCalls = Readonly<Record<'cuGetErrorName' | 'cuGetErrorString', NativeCall>>;

function callError(calls: ErrorCalls, name: string, status: number): StatorError {
  return new StatorError('engine_error', `${name} failed: ${errorWords(calls, status)}`, {
    report: { cuda_call: name, cuda_status: status },
  });
}

function errorWords(calls: ErrorCalls, status: number): string {
  const text = new BigUint64Array(1);
  const said = (name: keyof ErrorCalls): string | null =>
    calls[name](status, text) === 0 && text[0] !== 0n ? koffi.decode(text[0]!, 'char', -1) : null;
  const symbol = said('cuGetErrorName');
  return symbol === null
    ? `status ${status}`
    : `${symbol}, ${said('cuGetErrorString') ?? `status ${status}`}`;
}
