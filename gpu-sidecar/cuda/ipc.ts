/**
 * Device memory of another process on the same GPU or a peer of it, without a copy through the host. One process exports an
 * allocation as 64 bytes that may travel by any way; another opens them and has the memory until it disposes. A process cannot
 * open its own. The exporter must not free the memory before all others have closed it: CUDA does not watch that.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { CudaContext } from './context.ts';
import { DRIVER_CONSTANTS, IPC_HANDLE_BYTES } from './driver-declarations.ts';
import { type DeviceMemory, type DeviceRange, part } from './memory.ts';

/** What another process needs to open the allocation. */
export function exportMemory(memory: DeviceMemory): Uint8Array {
  const handle = new Uint8Array(IPC_HANDLE_BYTES);
  memory.context.call('cuIpcGetMemHandle', handle, memory.addressOf(0, memory.bytes));
  return handle;
}

/** Throws `invalid_frame` for what is no handle, `engine_error` for one that the driver refuses: stale, own, another machine's. */
export class PeerMemory implements DeviceRange, Disposable {
  readonly bytes: number;
  readonly #context: CudaContext;
  #address: bigint | null;

  /** `bytes`: the size of the allocation, which the exporter must say; the handle does not. */
  constructor(context: CudaContext, options: { handle: Uint8Array; bytes: number }) {
    if (options.handle.length !== IPC_HANDLE_BYTES) {
      throw new StatorError(
        'invalid_frame',
        `a CUDA IPC handle has ${IPC_HANDLE_BYTES} bytes, not ${options.handle.length}`,
      );
    }
    this.bytes = options.bytes;
    this.#context = context;
    this.#address = context.make(
      'peer memory',
      'cuIpcOpenMemHandle_v2',
      { reserved: options.handle },
      DRIVER_CONSTANTS.CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS,
    );
  }

  addressOf(offset: number, length: number): bigint {
    return part(this.#address, this.bytes, offset, length);
  }

  [Symbol.dispose](): void {
    if (this.#address === null) return;
    const address = this.#address;
    this.#address = null;
    this.#context.unmake('peer memory', 'cuIpcCloseMemHandle', address);
  }
}
