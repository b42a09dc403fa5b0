/**
 * Memory that a GPU reads and writes, owned by an object and given back by `dispose` (`using`): on the device, in pinned host
 * memory, in host memory of somebody else that is pinned for a while, in another process's device memory (`ipc.ts`).
 *
 * Every access names an offset and a length and is checked against the size before the driver hears of it: outside of it lies
 * somebody else's memory, and the driver would not say so. Whoever disposes has waited for the streams that use the memory.
 */

import koffi from 'koffi';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { CudaContext } from './context.ts';
import { DRIVER_CONSTANTS } from './driver-declarations.ts';

const NULL_STREAM = 0;

/** A range on the device: what copies and kernels take. */
export interface DeviceRange {
  readonly bytes: number;
  /** Device address of a part; throws `internal` when it is not inside or the memory is gone. */
  addressOf(offset: number, length: number): bigint;
}

/** Host memory that the GPU copies from and to while the process goes on. */
export interface PinnedRange {
  readonly bytes: Uint8Array;
  /** Host address of a part, for the driver. */
  addressOf(offset: number, length: number): bigint;
  /** The address by which kernels reach a part over the bus. */
  deviceAddressOf(offset: number, length: number): bigint;
}

/** Memory on the GPU. Throws `engine_error` when there is not so much. */
export class DeviceMemory implements DeviceRange, Disposable {
  readonly bytes: number;
  readonly context: CudaContext;
  #address: bigint | null;

  constructor(context: CudaContext, bytes: number) {
    this.bytes = bytes;
    this.context = context;
    this.#address = context.make('device memory', 'cuMemAlloc_v2', bytes);
  }

  addressOf(offset: number, length: number): bigint {
    return part(this.#address, this.bytes, offset, length);
  }

  /**
   * Copies at once; the process waits (microseconds for 64 KiB, the time of the bus for more). The driver returns when it has
   * taken the bytes and would let streams of our own overtake them, so the null stream, on which it writes them, is waited for.
   */
  write(from: Uint8Array, offset = 0): void {
    this.context.call('cuMemcpyHtoD_v2', this.addressOf(offset, from.length), from, from.length);
    this.context.call('cuStreamSynchronize', NULL_STREAM);
  }

  /** Copies at once; what streams are to write first is waited for by their events. */
  read(into: Uint8Array, offset = 0): void {
    this.context.call('cuMemcpyDtoH_v2', into, this.addressOf(offset, into.length), into.length);
  }

  [Symbol.dispose](): void {
    if (this.#address === null) return;
    const address = this.#address;
    this.#address = null;
    this.context.unmake('device memory', 'cuMemFree_v2', address);
  }
}

/** Pinned host memory, however it came to be pinned. */
class HostRange implements PinnedRange, Disposable {
  readonly bytes: Uint8Array;
  readonly #context: CudaContext;
  readonly #free: 'cuMemFreeHost' | 'cuMemHostUnregister';
  #address: bigint | null;

  constructor(
    context: CudaContext,
    memory: { bytes: Uint8Array; address: bigint; free: 'cuMemFreeHost' | 'cuMemHostUnregister' },
  ) {
    this.#context = context;
    this.bytes = memory.bytes;
    this.#address = memory.address;
    this.#free = memory.free;
  }

  addressOf(offset: number, length: number): bigint {
    return part(this.#address, this.bytes.length, offset, length);
  }

  deviceAddressOf(offset: number, length: number): bigint {
    return seenByDevice(this.#context, this.addressOf(offset, length));
  }

  [Symbol.dispose](): void {
    if (this.#address === null) return;
    const address = this.#address;
    this.#address = null;
    this.#context.unmake('host memory', this.#free, address);
  }
}

/** Host memory from the driver, pinned. No view of `bytes` may be used after its end. */
export class PinnedMemory extends HostRange {
  constructor(context: CudaContext, length: number) {
    const { CU_MEMHOSTALLOC_PORTABLE, CU_MEMHOSTALLOC_DEVICEMAP } = DRIVER_CONSTANTS;
    const flags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP;
    const address = context.make('host memory', 'cuMemHostAlloc', length, flags);
    super(context, { address, bytes: new Uint8Array(koffi.view(address, length)), free: 'cuMemFreeHost' });
  }
}

/**
 * Host memory that is there already (the arena of the host tier), pinned while this lives. The bytes must not move or be
 * freed meanwhile, which holds for memory outside of V8's heap: an arena, or an ArrayBuffer of its own.
 */
export class RegisteredMemory extends HostRange {
  constructor(context: CudaContext, bytes: Uint8Array) {
    // Asking for `buffer` moves a small array out of V8's heap, before its address is taken.
    if (bytes.buffer.byteLength === 0) throw new StatorError('internal', 'no bytes to pin');
    const address = BigInt(koffi.address(bytes));
    const { CU_MEMHOSTREGISTER_PORTABLE, CU_MEMHOSTREGISTER_DEVICEMAP } = DRIVER_CONSTANTS;
    const flags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP;
    context.call('cuMemHostRegister_v2', address, bytes.length, flags);
    context.adopt('host memory');
    super(context, { address, bytes, free: 'cuMemHostUnregister' });
  }
}

function seenByDevice(context: CudaContext, address: bigint): bigint {
  const out = new BigUint64Array(1);
  context.call('cuMemHostGetDevicePointer_v2', out, address, 0);
  return out[0]!;
}

/** Address of a part of an allocation. */
export function part(start: bigint | null, size: number, offset: number, length: number): bigint {
  if (start === null) throw new StatorError('internal', 'memory of a GPU is used after its end');
  if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
    throw new StatorError('internal', `bytes ${offset} to ${offset + length} are not within ${size}`);
  }
  return start + BigInt(offset);
}
