/**
 * What `cuLaunchKernel` wants: an array of pointers to a kernel's arguments. Both are in one allocation outside of V8's heap, so
 * that the addresses hold; the driver copies the arguments before the call returns.
 */

import koffi from 'koffi';

const SLOT_BYTES = 8;

export class KernelParameters {
  /** For the driver. */
  readonly pointers: BigUint64Array;

  /** Bytes of each argument (4 or 8), and its value. */
  constructor(values: readonly (readonly [size: 4 | 8, value: bigint])[]) {
    const memory = new ArrayBuffer(2 * SLOT_BYTES * values.length);
    const view = new DataView(memory);
    this.pointers = new BigUint64Array(memory, 0, values.length);
    const first = BigInt(koffi.address(this.pointers)) + BigInt(SLOT_BYTES * values.length);
    values.forEach(([size, value], i) => {
      const at = SLOT_BYTES * (values.length + i);
      if (size === 8) view.setBigUint64(at, value, true);
      else view.setUint32(at, Number(value), true);
      this.pointers[i] = first + BigInt(SLOT_BYTES * i);
    });
  }
}
