/**
 * Host memory of other processes, mapped here: opened once per window and kept, because the first touch of each page costs more than
 * copying it; past a number the one that was used longest ago and is not in use goes. A window is found as a file of its
 * process (`/proc/<pid>/fd/<fd>`), and is only taken when its name, its size and the process are what was said.
 */

import { closeSync, fstatSync, openSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { TransferFault } from '../fault.ts';
import { type HostProcess, isAlive } from '../host-process.ts';

export interface WindowFile {
  process: HostProcess;
  fd: number;
  name: string;
  bytes: number;
}

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = 2n ** 64n - 1n;

interface Mapped {
  file: WindowFile;
  bytes: Uint8Array;
  unmap: () => void;
  users: number;
}

/** A use of a mapping. */
export interface MappedWindow extends Disposable {
  readonly bytes: Uint8Array;
}

export class MappedWindows {
  /** By name, the least recently used first. */
  readonly #mapped = new Map<string, Mapped>();

  /** Throws `stale_handle` when the memory is not there any more, `backend` when it cannot be mapped. */
  use(file: WindowFile): MappedWindow {
    if (!isAlive(file.process)) throw new TransferFault('stale_handle', 'the reader is another process now');
    const known = this.#mapped.get(file.name);
    if (known === undefined) this.#makeRoom();
    const mapped = known ?? map(file);
    if (mapped.bytes.length !== file.bytes) throw new TransferFault('protocol', 'a window of another size');
    this.#mapped.delete(file.name);
    this.#mapped.set(file.name, mapped);
    mapped.users++;
    let used = true;
    return {
      bytes: mapped.bytes,
      [Symbol.dispose]() {
        if (used) mapped.users--;
        used = false;
      },
    };
  }

  /** Those in use stay until the process ends. */
  close(): void {
    for (const mapped of this.#mapped.values()) if (mapped.users === 0) mapped.unmap();
    this.#mapped.clear();
  }

  /** First those of the dead, then the oldest. */
  #makeRoom(): void {
    const idle = [...this.#mapped].filter(([, { users }]) => users === 0);
    const dead = idle.filter(([, { file }]) => !isAlive(file.process));
    const full = this.#mapped.size - dead.length >= LIMITS.transferMappings;
    if (full && idle.length === 0) throw new TransferFault('refused', 'too many windows are in use');
    for (const [name, { unmap }] of full && dead.length === 0 ? idle.slice(0, 1) : dead) {
      unmap();
      this.#mapped.delete(name);
    }
  }
}

function map(file: WindowFile): Mapped {
  const fd = openWindow(file);
  try {
    const libc = koffi.load('libc.so.6');
    const mmap = libc.func('mmap', 'uint64', ['uint64', 'size_t', 'int', 'int', 'int', 'int64']);
    const munmap = libc.func('munmap', 'int', ['uint64', 'size_t']);
    const address = BigInt(mmap(0, file.bytes, PROT_READ_WRITE, MAP_SHARED, fd, 0));
    if (address === MAP_FAILED) throw new TransferFault('backend', 'the window cannot be mapped');
    const bytes = new Uint8Array(koffi.view(address, file.bytes));
    return { file, bytes, unmap: () => void munmap(address, file.bytes), users: 0 };
  } finally {
    closeSync(fd);
  }
}

/** Its descriptor; the process that names it must have exactly this. */
function openWindow({ process: { pid }, fd, name, bytes }: WindowFile): number {
  const path = `/proc/${pid}/fd/${fd}`;
  let opened: number;
  try {
    if (!readlinkSync(path).includes(name)) throw new TransferFault('stale_handle', 'the window is no more');
    opened = openSync(path, 'r+');
  } catch (thrown) {
    if (thrown instanceof TransferFault) throw thrown;
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new TransferFault('stale_handle', 'the window is no more', thrown);
    throw new TransferFault('backend', `the window cannot be opened (${code})`, thrown);
  }
  // Past its end a mapping kills the process that touches it.
  if (fstatSync(opened).size === bytes) return opened;
  closeSync(opened);
  throw new TransferFault('protocol', 'the window is not as large as was said');
}
