/**
 * G2: host memory, one arena for all blocks, taken at the start. On Linux it is an own mapping aligned to huge pages, which the
 * kernel is asked for (MADV_HUGEPAGE); elsewhere, and when that fails, an ArrayBuffer. Either is zeroed and counts only
 * once it is touched. Freed with `close`, after which no view may be used.
 */

import koffi from 'koffi';
import { StatorError } from '../../../durable/runtime/errors.ts';

const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MADV_HUGEPAGE = 14;
const MAP_FAILED = 2n ** 64n - 1n;

export class HostArena {
  readonly blockBytes: number;
  readonly #bytes: Uint8Array;
  readonly #unmap: (() => void) | null;

  /** Throws `engine_error` when there is not so much memory. */
  constructor(options: { capacityBlocks: number; blockBytes: number }) {
    this.blockBytes = options.blockBytes;
    const length = options.capacityBlocks * options.blockBytes;
    const mapped = length >= HUGE_PAGE_BYTES ? mapHugePages(length) : null;
    this.#bytes = mapped?.bytes ?? plainMemory(length);
    this.#unmap = mapped?.unmap ?? null;
  }

  /** The bytes of a slot; the view is good as long as the slot is held. */
  block(slot: number): Uint8Array {
    return this.#bytes.subarray(slot * this.blockBytes, (slot + 1) * this.blockBytes);
  }

  close(): void {
    this.#unmap?.();
  }
}

function plainMemory(length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    const message = `there is no memory for ${(length / 1e9).toFixed(1)} GB of KV blocks; make the host tier smaller`;
    throw new StatorError('engine_error', message, { cause });
  }
}

interface Mapping {
  bytes: Uint8Array;
  unmap: () => void;
}

function mapHugePages(length: number): Mapping | null {
  if (process.platform !== 'linux') return null;
  try {
    const libc = koffi.load('libc.so.6');
    const mmap = libc.func('mmap', 'uint64', ['uint64', 'size_t', 'int', 'int', 'int', 'int64']);
    const munmap = libc.func('munmap', 'int', ['uint64', 'size_t']);
    const madvise = libc.func('madvise', 'int', ['uint64', 'size_t', 'int']);
    const mappedBytes = length + HUGE_PAGE_BYTES;
    const start = BigInt(mmap(0, mappedBytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0));
    if (start === MAP_FAILED) return null;
    const unmap = () => void munmap(start, mappedBytes);
    const huge = BigInt(HUGE_PAGE_BYTES);
    const aligned = ((start + huge - 1n) / huge) * huge;
    if (madvise(aligned, length, MADV_HUGEPAGE) !== 0) {
      unmap();
      return null;
    }
    return { bytes: new Uint8Array(koffi.view(aligned, length)), unmap };
  } catch {
    // No such library (musl), or functions that this koffi cannot call: plain memory does.
    return null;
  }
}
