/** CPU seconds and memory of running processes, from /proc (Linux): the steady measure on a noisy machine. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const TICKS_PER_S = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export interface CpuSeconds {
  user: number;
  system: number;
}

/** Includes all threads, not ended children. */
export function cpuOf(pid: number): CpuSeconds {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { user: Number(fields[11]) / TICKS_PER_S, system: Number(fields[12]) / TICKS_PER_S };
}

export function cpuSum(pids: readonly number[]): CpuSeconds {
  return pids
    .map(cpuOf)
    .reduce((sum, cpu) => ({ user: sum.user + cpu.user, system: sum.system + cpu.system }), {
      user: 0,
      system: 0,
    });
}

export function residentMb(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) / 1024;
}

/** Busy CPU seconds of the whole host, to see what else was running. */
export function hostBusySeconds(): number {
  const fields = (readFileSync('/proc/stat', 'utf8').split('\n')[0] as string)
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const idle = (fields[3] ?? 0) + (fields[4] ?? 0);
  return (fields.slice(0, 8).reduce((a, b) => a + b, 0) - idle) / TICKS_PER_S;
}
