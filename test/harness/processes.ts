/** The processes of this machine that have a certain text in their environment: whom a test has started, and whom those have. */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export interface ProcessInfo {
  pid: number;
  command: string;
}

/** All but the calling process; ended ones that nobody has waited for yet do not count. */
export function processesWith(text: string): ProcessInfo[] {
  const all = existsSync('/proc/self/environ') ? fromProc(text) : fromPs(text);
  return all.filter(({ pid }) => pid !== process.pid);
}

function fromProc(text: string): ProcessInfo[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      if (!readFileSync(`/proc/${name}/environ`, 'utf8').includes(text)) return [];
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return [{ pid: Number(name), command }];
    } catch {
      // It has ended meanwhile, or belongs to somebody else.
      return [];
    }
  });
}

function fromPs(text: string): ProcessInfo[] {
  const lines = execFileSync('ps', ['axeww', '-o', 'pid=,command='], { encoding: 'utf8' }).split('\n');
  return lines
    .filter((line) => line.includes(text))
    .map((line) => ({ pid: Number.parseInt(line, 10), command: line }));
}
