/**
 * What the GPUs of this machine are doing, from NVIDIA's management library, which is part of the driver. It makes no context and
 * takes no memory of a GPU. A figure that a device does not give (MIG has no utilisation, a virtual GPU no power) is null.
 */

import type { LibraryHandle } from 'koffi';
import { StatorError } from '../../durable/runtime/errors.ts';
import { declareCalls, type NativeArgument, type NativeCall, openLibrary } from './native-library.ts';
import {
  NVML_CALLS,
  NVML_CONSTANTS,
  NVML_STRUCTS,
  type NvmlCall,
  nameNvmlTypes,
} from './nvml-declarations.ts';

const TEXT_BYTES = 96;
/** Processes of one GPU that are told; more are not. */
const MOST_PROCESSES = 256;
/** What NVML writes where it cannot know a process's memory. */
const UNKNOWN_BYTES = 2n ** 64n - 1n;

export interface GpuFigures {
  /** NVML's number; other than the driver's where CUDA_VISIBLE_DEVICES is set, so `uuid` is what to join by. */
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** Share of the last sample period with a kernel running, and with memory read or written: 0 to 1. */
  readonly utilization: number | null;
  readonly memoryUtilization: number | null;
  readonly memoryUsedBytes: number | null;
  readonly memoryTotalBytes: number | null;
  readonly temperatureCelsius: number | null;
  readonly powerWatts: number | null;
  readonly energyJoules: number | null;
  readonly processes: readonly { pid: number; memoryBytes: number }[];
}

export interface Nvml {
  figures(): GpuFigures[];
}

/** NVML, or why it is not there. `library`: setting `nvmlLibrary`; empty: the driver's. Initialised until the process ends. */
export function openNvml({ library }: { library: string }): Nvml | { problem: string } {
  const found = openLibrary({ path: library, names: ['libnvidia-ml.so.1'] });
  if ('problem' in found) {
    return {
      problem: `there is no NVML here (${found.problem}): it comes with NVIDIA's driver, or say where it is (--nvml-library)`,
    };
  }
  try {
    nameNvmlTypes();
    return new Library(declareCalls(found.library, 'nvmlReturn_t', NVML_CALLS), found.library);
  } catch (thrown) {
    return { problem: `${found.path}: ${(thrown as Error).message}; look whether nvidia-smi works` };
  }
}

class Library implements Nvml {
  readonly #calls: Record<NvmlCall, NativeCall>;
  readonly #words: (status: number) => string;

  constructor(calls: Record<NvmlCall, NativeCall>, library: LibraryHandle) {
    this.#calls = calls;
    const words = library.func('const char *nvmlErrorString(nvmlReturn_t result)');
    this.#words = words as unknown as (status: number) => string;
    this.#call('nvmlInit_v2');
  }

  figures(): GpuFigures[] {
    const count = new Uint32Array(1);
    this.#call('nvmlDeviceGetCount_v2', count);
    return Array.from({ length: count[0]! }, (_, index) => this.#figuresOf(index));
  }

  #figuresOf(index: number): GpuFigures {
    const handle = new BigUint64Array(1);
    this.#call('nvmlDeviceGetHandleByIndex_v2', index, handle);
    const device = handle[0]!;
    const utilization = this.#struct('nvmlDeviceGetUtilizationRates', device, 'nvmlUtilization_t');
    const memory = this.#struct('nvmlDeviceGetMemoryInfo', device, 'nvmlMemory_t');
    const temperature = new Uint32Array(1);
    const power = new Uint32Array(1);
    const energy = new BigUint64Array(1);
    const percent = (at: number): number | null =>
      utilization ? utilization.getUint32(at, true) / 100 : null;
    const bytes = (at: number): number | null => (memory ? Number(memory.getBigUint64(at, true)) : null);
    const { nvmlUtilization_t, nvmlMemory_t } = NVML_STRUCTS;
    return {
      index,
      uuid: this.#text('nvmlDeviceGetUUID', device),
      name: this.#text('nvmlDeviceGetName', device),
      utilization: percent(nvmlUtilization_t.gpu),
      memoryUtilization: percent(nvmlUtilization_t.memory),
      memoryUsedBytes: bytes(nvmlMemory_t.used),
      memoryTotalBytes: bytes(nvmlMemory_t.total),
      temperatureCelsius: this.#gives(
        'nvmlDeviceGetTemperature',
        device,
        NVML_CONSTANTS.NVML_TEMPERATURE_GPU,
        temperature,
      )
        ? temperature[0]!
        : null,
      powerWatts: this.#gives('nvmlDeviceGetPowerUsage', device, power) ? power[0]! / 1e3 : null,
      energyJoules: this.#gives('nvmlDeviceGetTotalEnergyConsumption', device, energy)
        ? Number(energy[0]) / 1e3
        : null,
      processes: this.#processes(device),
    };
  }

  #processes(device: bigint): { pid: number; memoryBytes: number }[] {
    const { bytes, pid, usedGpuMemory } = NVML_STRUCTS.nvmlProcessInfo_t;
    const count = new Uint32Array([MOST_PROCESSES]);
    const infos = new DataView(new ArrayBuffer(MOST_PROCESSES * bytes));
    if (!this.#gives('nvmlDeviceGetComputeRunningProcesses_v3', device, count, infos)) return [];
    return Array.from({ length: count[0]! }, (_, i) => {
      const used = infos.getBigUint64(i * bytes + usedGpuMemory, true);
      return {
        pid: infos.getUint32(i * bytes + pid, true),
        memoryBytes: used === UNKNOWN_BYTES ? 0 : Number(used),
      };
    });
  }

  #struct(call: NvmlCall, device: bigint, name: keyof typeof NVML_STRUCTS): DataView | null {
    const view = new DataView(new ArrayBuffer(NVML_STRUCTS[name].bytes));
    return this.#gives(call, device, view) ? view : null;
  }

  #text(call: 'nvmlDeviceGetName' | 'nvmlDeviceGetUUID', device: bigint): string {
    const into = Buffer.alloc(TEXT_BYTES);
    this.#call(call, device, into, TEXT_BYTES);
    return into.toString('utf8', 0, Math.max(0, into.indexOf(0)));
  }

  /** Whether the device gave the figure. */
  #gives(name: NvmlCall, ...args: NativeArgument[]): boolean {
    return this.#calls[name](...args) === NVML_CONSTANTS.NVML_SUCCESS;
  }

  #call(name: NvmlCall, ...args: NativeArgument[]): void {
    const status = this.#calls[name](...args);
    if (status !== NVML_CONSTANTS.NVML_SUCCESS) {
      throw new StatorError('engine_error', `${name} failed: ${this.#words(status)} (${status})`);
    }
  }
}
