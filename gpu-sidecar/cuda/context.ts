/**
 * A process's place on one GPU: the device's primary context, which libraries in the same process (llama.cpp, NCCL) share, so that
 * memory and streams of one can be used by the other.
 *
 * CUDA's current context belongs to the thread and others change it, so every call here sets it first (one call more, some
 * 30 ns). What is made in a context is disposed before it; `dispose` with something left is an error that says what, which is
 * how leaks are found. One JavaScript thread uses a context; another makes its own from the same device.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { CudaDevice } from './device.ts';
import type { CudaDriver } from './driver.ts';
import { DRIVER_CONSTANTS, type DriverCall } from './driver-declarations.ts';
import type { NativeArgument } from './native-library.ts';

/** What lives in a context. */
export type CudaResource = 'device memory' | 'host memory' | 'stream' | 'event' | 'peer memory' | 'module';

/** Statuses of kernels that failed (CUDA_ERROR_ILLEGAL_ADDRESS to CUDA_ERROR_LAUNCH_FAILED): the context is lost. */
const FIRST_FAULT = 700;
const LAST_FAULT = 719;

export class CudaContext implements Disposable {
  readonly driver: CudaDriver;
  readonly device: CudaDevice;
  readonly #open = new Map<CudaResource, number>();
  #handle: bigint | null;
  #broken = false;

  /** Throws `engine_error` when the device gives no context (in use exclusively, broken, no memory). */
  constructor(driver: CudaDriver, device: CudaDevice) {
    this.driver = driver;
    this.device = device;
    const handle = new BigUint64Array(1);
    driver.call('cuDevicePrimaryCtxRetain', handle, device.handle);
    this.#handle = handle[0]!;
  }

  call(name: DriverCall, ...args: NativeArgument[]): void {
    const status = this.status(name, ...args);
    if (status !== DRIVER_CONSTANTS.CUDA_SUCCESS) throw this.driver.error(name, status);
  }

  status(name: DriverCall, ...args: NativeArgument[]): number {
    this.#makeCurrent();
    const status = this.driver.status(name, ...args);
    if (status >= FIRST_FAULT && status <= LAST_FAULT) this.#broken = true;
    return status;
  }

  /** A kernel failed: nothing works here any more, and the driver takes everything back when the process ends. */
  get broken(): boolean {
    return this.#broken;
  }

  /** The handle or address that a call writes to its first argument. */
  make(resource: CudaResource, name: DriverCall, ...args: NativeArgument[]): bigint {
    const out = new BigUint64Array(1);
    this.call(name, out, ...args);
    this.#count(resource, 1);
    return out[0]!;
  }

  /** The end of what `make` made. */
  unmake(resource: CudaResource, name: DriverCall, handle: NativeArgument): void {
    this.#count(resource, -1);
    const status = this.status(name, handle);
    // What fails because something failed before would only hide that.
    if (status !== DRIVER_CONSTANTS.CUDA_SUCCESS && !this.#broken) throw this.driver.error(name, status);
  }

  /** For what is ended otherwise than by its making. */
  adopt(resource: CudaResource): void {
    this.#count(resource, 1);
  }

  /** Memory of the device, of all processes. */
  memory(): { freeBytes: number; totalBytes: number } {
    const free = new BigUint64Array(1);
    const total = new BigUint64Array(1);
    this.call('cuMemGetInfo_v2', free, total);
    return { freeBytes: Number(free[0]), totalBytes: Number(total[0]) };
  }

  [Symbol.dispose](): void {
    if (this.#handle === null) return;
    const left = [...this.#open].filter(([, count]) => count !== 0);
    if (left.length > 0) {
      const list = left.map(([resource, count]) => `${count} × ${resource}`).join(', ');
      throw new StatorError('internal', `a CUDA context ends with ${list} in it`);
    }
    this.#handle = null;
    this.driver.call('cuDevicePrimaryCtxRelease_v2', this.device.handle);
  }

  #makeCurrent(): void {
    if (this.#handle === null) throw new StatorError('internal', 'a CUDA context is used after its end');
    this.driver.call('cuCtxSetCurrent', this.#handle);
  }

  #count(resource: CudaResource, change: number): void {
    this.#open.set(resource, (this.#open.get(resource) ?? 0) + change);
  }
}
