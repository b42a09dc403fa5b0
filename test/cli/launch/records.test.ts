/** What `status`, `down` and the next start find after launchers that ended well, and after those that were killed. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';

const home = mkdtempSync(join(tmpdir(), 'stator-records-'));
vi.stubEnv('STATOR_HOME', home);
const { isAlive, liveRecords, removeRecord, writeRecord } = await import('../../../cli/launch/records.ts');
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});
beforeEach(() => rmSync(join(home, 'run'), { recursive: true, force: true }));

const record = (port: number, launcherPid: number, platformPid: number | null = null) => ({
  launcherPid,
  platformPid,
  url: `http://127.0.0.1:${port}`,
  port,
  control: { url: `http://127.0.0.1:${port}`, tls: null },
  startedMs: 1,
  apiKey: 'sk-1',
  fleetToken: 'fleet',
});

/** The pid of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid as number;
}

describe('a record', () => {
  test('of a living launcher is found, and only its owner can read the key in it', () => {
    writeRecord(record(9001, process.pid));
    expect(liveRecords()).toEqual([record(9001, process.pid)]);
    expect(statSync(join(home, 'run', '9001.json')).mode & 0o777).toBe(0o600);
    removeRecord(9001);
    expect(liveRecords()).toEqual([]);
  });

  test('of a dead launcher is cleaned up', async () => {
    writeRecord(record(9002, await deadPid(), await deadPid()));
    expect(liveRecords()).toEqual([]);
    expect(existsSync(join(home, 'run', '9002.json'))).toBe(false);
  });

  test('that is no record is passed over', () => {
    mkdirSync(join(home, 'run'), { recursive: true });
    writeFileSync(join(home, 'run', '9003.json'), '{"launcherPid": "x"');
    writeFileSync(join(home, 'run', '9004.json'), '{}');
    expect(liveRecords()).toEqual([]);
  });

  test('is not needed: no folder, no deployments', () => {
    expect(liveRecords()).toEqual([]);
  });
});

describe.runIf(process.platform === 'linux')('the platform process that a dead launcher left', () => {
  /** A process under a name and with an argument of our choice. */
  async function orphan(name: string, argument: string) {
    const program = join(home, name);
    copyFileSync('/bin/sleep', program);
    chmodSync(program, 0o755);
    const child = spawn(program, ['600'], { argv0: `${program} ${argument}` });
    await once(child, 'spawn');
    return child;
  }

  test('is ended', async () => {
    const child = await orphan('workerd', join(home, 'run', '9005', 'workerd.capnp'));
    const gone = once(child, 'exit');
    writeRecord(record(9005, await deadPid(), child.pid as number));
    expect(liveRecords()).toEqual([]);
    expect((await gone)[1]).toBe('SIGKILL');
  });

  test('is left alone when its number belongs to another program by now', async () => {
    const child = await orphan('editor', 'notes.txt');
    writeRecord(record(9006, await deadPid(), child.pid as number));
    expect(liveRecords()).toEqual([]);
    expect([isAlive(child.pid as number), child.signalCode]).toEqual([true, null]);
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
});
