/** Room for a whole file at once, so that a full disk is noticed at the start and not in the middle of serving. */

import type { FileHandle } from 'node:fs/promises';
import koffi from 'koffi';
import { TierFault } from './tier-store.ts';

const ENOSPC = 28;

/**
 * By Linux's fallocate; where system or file system have none, the file is only made that long (sparse), and a full disk shows
 * itself when a block is written. Throws TierFault `no_space`.
 */
export async function preallocate(file: FileHandle, length: number): Promise<void> {
  const errno = process.platform === 'linux' ? await fallocate(file.fd, length) : null;
  if (errno === ENOSPC) throw new TierFault('no_space', `no room on the disk for ${length} bytes`);
  await file.truncate(length);
}

/** 0, an error number, or null where there is no such function. */
function fallocate(fd: number, length: number): Promise<number | null> {
  return new Promise((resolve) => {
    try {
      const call = koffi.load('libc.so.6').func('fallocate', 'int', ['int', 'int', 'int64', 'int64']);
      // On this thread: errno belongs to it, and the call takes no time where the file system knows it.
      resolve(call(fd, 0, 0, length) === 0 ? 0 : koffi.errno());
    } catch {
      resolve(null);
    }
  });
}
