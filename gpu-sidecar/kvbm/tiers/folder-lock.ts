/**
 * One process has a folder: a file in it names that process, by its number and the time of its start, because in containers the
 * next life often has the same number. What a killed one left behind is taken over. Two that start in the same instant
 * after a third was killed could both take it over: tell workers apart by their folders.
 */

import { readFileSync } from 'node:fs';
import { readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TierFault } from './tier-store.ts';

export class FolderLock {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Throws TierFault `denied` naming the process that has it. */
  static async take(folder: string): Promise<FolderLock> {
    const path = join(folder, 'lock');
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        await writeFile(path, nameOf(process.pid), { flag: 'wx' });
        return new FolderLock(path);
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
      }
      const owner = await readFile(path, 'utf8').catch(() => '');
      if (owner !== '' && nameOf(Number.parseInt(owner, 10)) === owner) break;
      await unlink(path).catch(() => {});
    }
    throw new TierFault('denied', `${folder} is used by another process (${path} names it)`);
  }

  async release(): Promise<void> {
    await unlink(this.#path).catch(() => {});
  }
}

/** Number and start of a running process; the number alone where the system does not tell the start. */
function nameOf(pid: number): string {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EPERM') return `${pid} gone`;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // The 22nd field; the second, the program's name, may contain spaces and ends with the last parenthesis.
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]} ${boot}`;
  } catch {
    return `${pid}`;
  }
}
