/**
 * A mark in a stream. Waiting for one blocks no thread: `poller.ts` asks the driver between turns of the event loop.
 * With `timing` two of them say how long the device took between them.
 */

import type { CudaContext } from './context.ts';
import { DRIVER_CONSTANTS } from './driver-declarations.ts';
import { pollUntil } from './poller.ts';

export class CudaEvent implements Disposable {
  readonly #context: CudaContext;
  #handle: bigint | null;

  constructor(context: CudaContext, options: { timing: boolean } = { timing: false }) {
    this.#context = context;
    const flags = options.timing ? 0 : DRIVER_CONSTANTS.CU_EVENT_DISABLE_TIMING;
    this.#handle = context.make('event', 'cuEventCreate', flags);
  }

  /** For the driver's calls; 0, which it refuses, after the end. */
  get handle(): bigint {
    return this.#handle ?? 0n;
  }

  /** Marks what was given to a stream so far. */
  record(stream: bigint): void {
    this.#context.call('cuEventRecord', this.handle, stream);
  }

  /** Whether all before the mark has ended. Throws `engine_error` when some of it failed. */
  ended(): boolean {
    const status = this.#context.status('cuEventQuery', this.handle);
    if (status === DRIVER_CONSTANTS.CUDA_ERROR_NOT_READY) return false;
    if (status !== DRIVER_CONSTANTS.CUDA_SUCCESS) throw this.#context.driver.error('cuEventQuery', status);
    return true;
  }

  /** Resolves when all before the mark has ended. There is no giving up: the device would write on all the same. */
  done(): Promise<void> {
    return pollUntil(() => this.ended());
  }

  /** Milliseconds on the device since another event; both were made with `timing` and have ended. */
  elapsedMs(since: CudaEvent): number {
    const out = new Float32Array(1);
    this.#context.call('cuEventElapsedTime', out, since.handle, this.handle);
    return out[0]!;
  }

  [Symbol.dispose](): void {
    if (this.#handle === null) return;
    const handle = this.#handle;
    this.#handle = null;
    this.#context.unmake('event', 'cuEventDestroy_v2', handle);
  }
}
