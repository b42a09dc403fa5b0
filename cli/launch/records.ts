/**
 * The record of a running deployment (`<state>/run/<port>.json`): how `stator status` and `stator down` find it,
 * and how the next start finds what a killed launcher left behind.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { STATE_DIR } from '../paths.ts';

const recordSchema = z.object({
  launcherPid: z.number().int(),
  platformPid: z.number().int().nullable(),
  url: z.string(),
  port: z.number().int(),
  /** Where launcher and commands reach it; with TLS not the `url`. */
  control: z.object({
    url: z.string(),
    tls: z.object({ cert: z.string(), key: z.string(), ca: z.string() }).nullable(),
  }),
  startedMs: z.number(),
  /** For `stator status` on a protected address; the file is readable by its owner only. */
  apiKey: z.string(),
  /** For workers that are started here by hand (`stator run-component`). */
  fleetToken: z.string().default(''),
});
export type DeploymentRecord = z.infer<typeof recordSchema>;

const folder = () => join(STATE_DIR, 'run');
const fileOf = (port: number) => join(folder(), `${port}.json`);

export function writeRecord(record: DeploymentRecord): void {
  mkdirSync(folder(), { recursive: true });
  writeFileSync(fileOf(record.port), JSON.stringify(record, null, 2), { mode: 0o600 });
}

export function removeRecord(port: number): void {
  rmSync(fileOf(port), { force: true });
}

/** All records whose launcher still lives; those of dead ones are cleaned up on the way, their workerd ended. */
export function liveRecords(): DeploymentRecord[] {
  let names: string[];
  try {
    names = readdirSync(folder()).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const parsed = recordSchema.safeParse(readJson(join(folder(), name)));
    if (!parsed.success) return [];
    if (isAlive(parsed.data.launcherPid)) return [parsed.data];
    endOrphan(parsed.data.platformPid);
    removeRecord(parsed.data.port);
    return [];
  });
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Ends a workerd whose launcher was killed; a pid that meanwhile belongs to another program is left alone. At once: asked
 * politely it waits for idle connections, and its workers are gone with their launcher.
 */
function endOrphan(pid: number | null): void {
  if (pid === null || !isAlive(pid)) return;
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    if (command.includes('workerd') && command.includes(STATE_DIR)) process.kill(pid, 'SIGKILL');
  } catch {
    // No /proc on this platform: the pid cannot be told apart, so it is left alone.
  }
}
