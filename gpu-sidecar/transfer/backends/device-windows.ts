/**
 * Device memory that other processes write blocks into: made for the first pulls that want some, kept for the next, because an
 * allocation and the opening of its handle cost far more than a block. At most `LIMITS.gpuWindows`; past that, and where the GPU
 * has no memory left, there is none, and the pull goes another way.
 */

import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { CudaContext } from '../../cuda/context.ts';
import { cudaStatusOf } from '../../cuda/driver.ts';
import { DRIVER_CONSTANTS } from '../../cuda/driver-declarations.ts';
import { exportMemory } from '../../cuda/ipc.ts';
import { DeviceMemory, type DeviceRange } from '../../cuda/memory.ts';
import { TransferFault } from '../fault.ts';

interface WindowShape {
  /** Blocks that it has room for. */
  places: number;
  blockBytes: number;
}

/** The driver cuts smaller allocations out of pages, and a handle opens the whole page: other memory of ours would be shared. */
const PAGE_BYTES = 2 * 1024 * 1024;

/** CUDA does not open a handle in the process that made it; there the memory is found here. */
const exported = new Map<string, DeviceMemory>();

const nameOf = (handle: Uint8Array): string => Buffer.from(handle).toString('hex');

export class DeviceWindow implements WindowShape, Disposable {
  readonly places: number;
  readonly blockBytes: number;
  readonly handle: Uint8Array;
  readonly #memory: DeviceMemory;

  constructor(context: CudaContext, { places, blockBytes }: WindowShape) {
    this.places = places;
    this.blockBytes = blockBytes;
    this.#memory = new DeviceMemory(context, Math.ceil((places * blockBytes) / PAGE_BYTES) * PAGE_BYTES);
    this.handle = exportMemory(this.#memory);
    exported.set(nameOf(this.handle), this.#memory);
  }

  /** The window with this handle, for a source in the same process. Throws `stale_handle`. */
  static ofThisProcess(handle: Uint8Array): DeviceRange & Disposable {
    const memory = exported.get(nameOf(handle));
    if (memory === undefined) throw new TransferFault('stale_handle', 'the window is no more');
    return {
      bytes: memory.bytes,
      addressOf: (offset, length) => memory.addressOf(offset, length),
      [Symbol.dispose]() {},
    };
  }

  /** Copies at once; for blocks that take less time than asking whether they are there. */
  read(into: Uint8Array, offset: number): void {
    this.#memory.read(into, offset);
  }

  get range(): DeviceRange {
    return this.#memory;
  }

  [Symbol.dispose](): void {
    exported.delete(nameOf(this.handle));
    this.#memory[Symbol.dispose]();
  }
}

export class DeviceWindows {
  readonly #context: CudaContext;
  readonly #shape: WindowShape;
  readonly #idle: DeviceWindow[] = [];
  #made = 0;

  constructor(context: CudaContext, shape: WindowShape) {
    this.#context = context;
    this.#shape = shape;
  }

  /** null: none is to be had now. */
  take(): DeviceWindow | null {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#made >= LIMITS.gpuWindows) return null;
    try {
      const made = new DeviceWindow(this.#context, this.#shape);
      this.#made++;
      return made;
    } catch (thrown) {
      if (cudaStatusOf(thrown) === DRIVER_CONSTANTS.CUDA_ERROR_OUT_OF_MEMORY) return null;
      throw thrown;
    }
  }

  /** Nobody writes into it any more. */
  giveBack(window: DeviceWindow): void {
    this.#idle.push(window);
  }

  /** Frees all; none is in use. */
  close(): void {
    this.#made -= this.#idle.length;
    for (const window of this.#idle.splice(0)) window[Symbol.dispose]();
  }
}
