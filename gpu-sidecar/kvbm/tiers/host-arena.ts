/**
 * G2: host memory, one arena for all blocks, taken at the start. On Linux it is an own mapping aligned to huge pages, which the
 * kernel is asked for (MADV_HUGEPAGE); elsewhere, and when that fails, an ArrayBuffer. Either is zeroed and counts only
 * once it is touched. With `shared` it is a memfd, which processes of the same user on this host can map (transfer `shm`)
 * and which goes with the last process that has it. Freed with `close`, after which no view may be used.
 */

import { randomBytes } from 'node:crypto';
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { StatorError } from '../../../durable/runtime/errors.ts';

const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_FIXED = 0x10;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MADV_HUGEPAGE = 14;
const MFD_CLOEXEC = 1;
const MAP_FAILED = 2n ** 64n - 1n;

/** How another process of this user finds the memory: `/proc/<pid>/fd/<fd>`, a link that has `name` in it. */
export interface SharedMemory {
  readonly fd: number;
  readonly name: string;
}

export interface ArenaOptions {
  capacityBlocks: number;
  blockBytes: number;
  /** Others may map it, where the system can; `HostArena.shared` says whether it could. */
  shared?: boolean;
}

export class HostArena {
  readonly capacityBlocks: number;
  readonly blockBytes: number;
  /** All of it. */
  readonly bytes: Uint8Array;
  /** Where it lies in this process; null for an ArrayBuffer. */
  readonly address: bigint | null;
  readonly shared: SharedMemory | null;
  readonly #unmap: (() => void) | null;

  /** Throws `engine_error` when there is not so much memory. */
  constructor({ capacityBlocks, blockBytes, shared }: ArenaOptions) {
    this.capacityBlocks = capacityBlocks;
    this.blockBytes = blockBytes;
    const length = capacityBlocks * blockBytes;
    const mapped = shared === true || length >= HUGE_PAGE_BYTES ? mapMemory(length, shared === true) : null;
    this.bytes = mapped?.bytes ?? plainMemory(length);
    this.address = mapped?.address ?? null;
    this.shared = mapped?.shared ?? null;
    this.#unmap = mapped?.unmap ?? null;
  }

  /** The bytes of a slot; the view is good as long as the slot is held. */
  block(slot: number): Uint8Array {
    return this.bytes.subarray(slot * this.blockBytes, (slot + 1) * this.blockBytes);
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
  address: bigint;
  shared: SharedMemory | null;
  unmap: () => void;
}

function mapMemory(length: number, shared: boolean): Mapping | null {
  if (process.platform !== 'linux') return null;
  try {
    const libc = koffi.load('libc.so.6');
    const mmap = libc.func('mmap', 'uint64', ['uint64', 'size_t', 'int', 'int', 'int', 'int64']);
    const munmap = libc.func('munmap', 'int', ['uint64', 'size_t']);
    const madvise = libc.func('madvise', 'int', ['uint64', 'size_t', 'int']);
    const mappedBytes = length + HUGE_PAGE_BYTES;
    const start = BigInt(mmap(0, mappedBytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0));
    if (start === MAP_FAILED) return null;
    const huge = BigInt(HUGE_PAGE_BYTES);
    const address = ((start + huge - 1n) / huge) * huge;
    const memory = shared ? sharedMemory(libc, length) : null;
    const unmap = () => {
      munmap(start, mappedBytes);
      if (memory) closeSync(memory.fd);
    };
    if (memory) {
      const mode = MAP_SHARED | MAP_FIXED;
      if (BigInt(mmap(address, length, PROT_READ_WRITE, mode, memory.fd, 0)) !== address) {
        unmap();
        return null;
      }
    }
    // Of shared memory many systems refuse huge pages; it is as fast to copy without (docs/decisions/0016).
    if (madvise(address, length, MADV_HUGEPAGE) !== 0 && memory === null) {
      unmap();
      return null;
    }
    return { bytes: new Uint8Array(koffi.view(address, length)), address, shared: memory, unmap };
  } catch {
    // No such library (musl), or functions that this koffi cannot call: plain memory does.
    return null;
  }
}

/** null where there is none: then the memory is of this process alone. */
function sharedMemory(libc: ReturnType<typeof koffi.load>, length: number): SharedMemory | null {
  const create = libc.func('memfd_create', 'int', ['str', 'uint']);
  const truncate = libc.func('ftruncate', 'int', ['int', 'int64']);
  const name = `stator-kv-${randomBytes(16).toString('hex')}`;
  const fd = create(name, MFD_CLOEXEC) as number;
  if (fd < 0) return null;
  if (truncate(fd, length) === 0) return { fd, name };
  closeSync(fd);
  return null;
}
