/**
 * Processes of this host, named so that a number that was given again is another process: boot id, process id and start time.
 * Linux alone; null elsewhere.
 */

import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Timers } from '../timers.ts';

export const HostProcess = z.strictObject({
  boot: z.string().length(36),
  pid: z.int().min(1),
  /** In clock ticks since the boot. */
  started: z.string().regex(/^\d{1,20}$/),
});
export type HostProcess = z.output<typeof HostProcess>;

export function ownProcess(): HostProcess | null {
  const boot = readOrNull('/proc/sys/kernel/random/boot_id')?.trim();
  const started = startOf(process.pid);
  return boot && started ? { boot, pid: process.pid, started } : null;
}

export const onThisHost = (other: HostProcess, own: HostProcess): boolean => other.boot === own.boot;

/** Of a process of this host. A zombie has no memory any more, and so does not live. */
export const isAlive = ({ pid, started }: HostProcess): boolean => startOf(pid) === started;

/**
 * When this process is sure to write nothing more: once it has said so (`stopped`); on this host, when it is dead; on another,
 * after a time in which a write that nobody acknowledges has failed.
 */
export function whenGone(
  other: HostProcess | null,
  { own, stopped, timers }: { own: HostProcess | null; stopped: AbortSignal; timers: Timers },
): Promise<void> {
  if (stopped.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    let cancel = () => {};
    const gone = () => {
      cancel();
      stopped.removeEventListener('abort', gone);
      resolve();
    };
    stopped.addEventListener('abort', gone, { once: true });
    if (other === null || own === null || !onThisHost(other, own)) {
      cancel = timers.after(LIMITS.transferQuarantineMs, gone);
      return;
    }
    const look = () => {
      if (isAlive(other)) cancel = timers.after(LIMITS.transferDeadCheckMs, look);
      else gone();
    };
    look();
  });
}

function startOf(pid: number): string | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name before the last parenthesis may have anything in it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
