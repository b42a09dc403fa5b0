/** Real children that die, do their work or hang: are they started again as often as it makes sense, and ended for good? */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isAlive } from '../../../cli/launch/records.ts';
import { RESTART, Supervised, type SupervisedOptions } from '../../../cli/launch/supervised.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-supervised-'));
const logFile = join(folder, 'child.log');
const children: Supervised[] = [];
// Children are real; the waits between them are not.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(children.splice(0).map((child) => child.stop(0)));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DIES = 'process.exit(7)';
const LIVES = "console.log('up'); setInterval(() => {}, 1000)";
const HANGS = `process.on('SIGTERM', () => {}); ${LIVES}`;

function supervise(script: string, options: Partial<SupervisedOptions> = {}): Supervised {
  const child = new Supervised({
    name: 'child',
    command: process.execPath,
    args: ['-e', script],
    env: {},
    logFile,
    ...options,
  });
  children.push(child);
  return child;
}

/** Lets a child live until it has died `times` times or is given up; the delays that it was told, in ms. */
function delaysOf(script: string, times: number, options: Partial<SupervisedOptions> = {}) {
  return new Promise<(number | null)[]>((resolve) => {
    const delays: (number | null)[] = [];
    const child = supervise(script, {
      ...options,
      onExit({ restartInMs }) {
        delays.push(restartInMs);
        if (restartInMs === null || delays.length === times) resolve(delays);
        else setImmediate(() => vi.advanceTimersByTime(restartInMs));
      },
      onLine: () => options.onLine?.call(child, ''),
    });
    child.start();
  });
}

/** Starts a child and waits for its first line. */
function started(script: string): Promise<Supervised> {
  return new Promise((resolve) => {
    const child = supervise(script, { onLine: () => resolve(child) });
    child.start();
  });
}

describe('a child that dies', () => {
  test('is started again after ever longer waits, and given up in the end', async () => {
    const delays = await delaysOf(DIES, 100);
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, null]);
    expect(delays).toHaveLength(RESTART.maxAttempts + 1);
  });

  test('is not started again after an exit code that says it is of no use', async () => {
    expect(await delaysOf(DIES, 3, { permanentExitCodes: [7] })).toEqual([null]);
    expect(await delaysOf(DIES, 2, { permanentExitCodes: [1] })).toEqual([100, 200]);
  });

  test('starts over with the shortest wait once it did its work', async () => {
    const delays = await delaysOf(`console.log('serving'); ${DIES}`, 3, {
      onLine(this: Supervised) {
        this.healthy();
      },
    });
    expect(delays).toEqual([100, 100, 100]);
  });

  test('starts over with the shortest wait when it lived long', async () => {
    const onLine = () => void vi.advanceTimersByTime(RESTART.healthyMs);
    expect(await delaysOf(`console.log('up'); ${DIES}`, 3, { onLine })).toEqual([100, 100, 100]);
  });

  test('leaves a line in its log', async () => {
    await delaysOf(DIES, 1);
    const last = readFileSync(logFile, 'utf8').trim().split('\n').at(-1) as string;
    expect(JSON.parse(last)).toMatchObject({ event: 'exit', name: 'child', code: 7, restartInMs: 100 });
  });

  test('stays dead once it is retired', async () => {
    const exits: unknown[] = [];
    const pids: number[] = [];
    const child = await new Promise<Supervised>((resolve) => {
      const it = supervise(LIVES, {
        onLine: () => resolve(it),
        onExit: (info) => exits.push(info),
        onStart: (pid) => pids.push(pid),
      });
      it.start();
    });
    child.retire();
    process.kill(child.pid as number, 'SIGKILL');
    await vi.waitUntil(() => child.pid === null, { timeout: 5_000 });
    vi.advanceTimersByTime(RESTART.maxDelayMs);
    expect([exits, pids.length]).toEqual([[], 1]);
  });

  test('that cannot even be started is given up like any other', async () => {
    const delays = await delaysOf('', 100, { command: join(folder, 'no-such-program') });
    expect(delays.at(-1)).toBeNull();
  });
});

describe('stop', () => {
  test('ends a child that listens', async () => {
    const child = await started(LIVES);
    const pid = child.pid as number;
    await child.stop(60_000);
    expect([isAlive(pid), child.pid]).toEqual([false, null]);
  });

  test('kills a child that does not, when the grace is over', async () => {
    const child = await started(HANGS);
    const pid = child.pid as number;
    const stopped = child.stop(500);
    vi.advanceTimersByTime(499);
    expect(isAlive(pid)).toBe(true);
    vi.advanceTimersByTime(1);
    await stopped;
    expect(isAlive(pid)).toBe(false);
  });

  test('forgets a restart that was due', async () => {
    const pids: number[] = [];
    const child = await new Promise<Supervised>((resolve) => {
      const it = supervise(DIES, {
        onExit: () => setImmediate(() => resolve(it)),
        onStart: (pid) => pids.push(pid),
      });
      it.start();
    });
    await child.stop(0);
    vi.advanceTimersByTime(RESTART.maxDelayMs);
    expect(pids).toHaveLength(1);
  });
});
