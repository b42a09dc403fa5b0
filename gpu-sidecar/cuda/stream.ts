/**
 * A queue of work on a GPU. Copies and kernels begin in the order in which they are given and run while the process goes on;
 * `done` resolves when all so far has ended. Only pinned host memory takes part, because the driver keeps the address: an
 * ordinary array could be moved or freed before the copy has run. Whoever gives memory to a stream keeps it until `done`.
 *
 * A failure shows where the driver first tells it, in a later call or in `done`; after a failed kernel the context is of no
 * more use and every call says so.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { CudaContext } from './context.ts';
import { DRIVER_CONSTANTS } from './driver-declarations.ts';
import { CudaEvent } from './event.ts';
import type { DeviceRange, PinnedRange } from './memory.ts';

export interface CopyPlace<Range> {
  memory: Range;
  offset?: number;
}

export class CudaStream implements Disposable {
  readonly context: CudaContext;
  #handle: bigint | null;

  constructor(context: CudaContext) {
    this.context = context;
    this.#handle = context.make('stream', 'cuStreamCreate', DRIVER_CONSTANTS.CU_STREAM_NON_BLOCKING);
  }

  /** For the driver's calls; 0 would be the stream that waits for all others, so a stream after its end throws instead. */
  get handle(): bigint {
    if (this.#handle === null) throw new StatorError('internal', 'a CUDA stream is used after its end');
    return this.#handle;
  }

  toDevice(to: CopyPlace<DeviceRange>, from: CopyPlace<PinnedRange>, length: number): void {
    const source = from.memory.addressOf(from.offset ?? 0, length);
    const target = to.memory.addressOf(to.offset ?? 0, length);
    this.context.call('cuMemcpyHtoDAsync_v2', target, source, length, this.handle);
  }

  toHost(to: CopyPlace<PinnedRange>, from: CopyPlace<DeviceRange>, length: number): void {
    const source = from.memory.addressOf(from.offset ?? 0, length);
    const target = to.memory.addressOf(to.offset ?? 0, length);
    this.context.call('cuMemcpyDtoHAsync_v2', target, source, length, this.handle);
  }

  onDevice(to: CopyPlace<DeviceRange>, from: CopyPlace<DeviceRange>, length: number): void {
    const source = from.memory.addressOf(from.offset ?? 0, length);
    const target = to.memory.addressOf(to.offset ?? 0, length);
    this.context.call('cuMemcpyDtoDAsync_v2', target, source, length, this.handle);
  }

  /** What comes after this on the stream waits for what came before the event on its own. */
  waitFor(event: CudaEvent): void {
    this.context.call('cuStreamWaitEvent', this.handle, event.handle, 0);
  }

  /** Resolves when all that was given so far has ended; rejects with `engine_error` when some of it failed. */
  async done(): Promise<void> {
    using event = new CudaEvent(this.context);
    event.record(this.handle);
    await event.done();
  }

  /** What runs, runs on; the driver ends the stream after it. */
  [Symbol.dispose](): void {
    if (this.#handle === null) return;
    const handle = this.#handle;
    this.#handle = null;
    this.context.unmake('stream', 'cuStreamDestroy_v2', handle);
  }
}
