/** What only the backend in a directory can meet: files of others, other clocks, a directory that cannot be read. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Logger } from '../../../durable/runtime/log.ts';
import { openDiscovery } from '../../../gpu-sidecar/discovery/registry.ts';
import { ManualTime } from '../../harness/manual-time.ts';
import { soon } from '../../harness/soon.ts';

const LEASE_MS = 10_000;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'stator-discovery-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(time = new ManualTime(Date.now())) {
  const lines: string[] = [];
  const log = new Logger({ component: 'test', write: (line) => lines.push(line) });
  const given = { leaseMs: LEASE_MS, fleetToken: '', tls: null, clock: time, timers: time, random: () => 0 };
  return { discovery: openDiscovery(`file:${directory}`, { ...given, log }), time, lines };
}

test('a file that is no JSON is passed over and said once; the others count', async () => {
  const { discovery, lines } = open();
  mkdirSync(join(directory, 'v1'));
  writeFileSync(join(directory, 'v1', 'torn.json'), '{"transport":{"ht');
  writeFileSync(join(directory, 'v1', 'whole.json'), '{}');
  writeFileSync(join(directory, 'v1', 'readme.txt'), 'not ours');
  for (let look = 0; look < 3; look++) {
    expect(await discovery.list('v1/')).toEqual([{ key: 'v1/whole', value: '{}' }]);
  }
  expect(lines.filter((line) => line.includes('v1/torn'))).toHaveLength(1);
});

test('a writer whose clock is behind by more than a lease counts from when it was seen to renew', async () => {
  const { discovery, time } = open();
  const path = join(directory, 'k.json');
  writeFileSync(path, '{}');
  const behindMs = time.nowMs() - 3 * LEASE_MS;
  utimesSync(path, behindMs / 1_000, behindMs / 1_000);
  expect(await discovery.list('')).toEqual([]);
  time.advance(1_000);
  utimesSync(path, behindMs / 1_000 + 3, behindMs / 1_000 + 3);
  expect(await discovery.list('')).toHaveLength(1);
  time.advance(LEASE_MS + 1);
  expect(await discovery.list('')).toEqual([]);
});

test('what was taken for dead and removed is put again', async () => {
  const { discovery, time } = open();
  await discovery.put('v1/a', '{}');
  rmSync(join(directory, 'v1', 'a.json'));
  time.advance(LEASE_MS / 3);
  await soon(async () => expect(await discovery.list('v1/')).toHaveLength(1));
});

test('files of the long dead are removed, and nothing unfinished stays', async () => {
  const { discovery, time } = open();
  await discovery.put('v1/mine', '{}');
  const reader = open(time);
  const path = join(directory, 'v1', 'dead.json');
  writeFileSync(path, '{}');
  const longAgo = (time.nowMs() - LEASE_MS - LIMITS.discoveryForgetMs - 1_000) / 1_000;
  utimesSync(path, longAgo, longAgo);
  await reader.discovery.list('v1/');
  expect(readdirSync(join(directory, 'v1'))).toEqual(['mine.json']);
});

test('an outage takes nothing from a watcher', async () => {
  const { discovery, time, lines } = open();
  await discovery.put('v1/a', '{}');
  const changes: unknown[] = [];
  const watch = discovery.watch('v1/', (change) => changes.push(change));
  await watch.synced;
  rmSync(join(directory, 'v1'), { recursive: true });
  // A link to itself: reading it fails, and not because nothing is there.
  const { symlinkSync } = await import('node:fs');
  symlinkSync(join(directory, 'v1'), join(directory, 'v1'));
  await soon(() => {
    time.advance(LIMITS.discoveryPollMs);
    expect(lines.join()).toContain('cannot be read');
  });
  expect(changes).toEqual([{ kind: 'added', key: 'v1/a', value: '{}' }]);
  watch.close();
});

test('settings that name no backend, or none that can be, are refused by name', () => {
  const { time } = open();
  const given = { leaseMs: 1, fleetToken: '', tls: null, clock: time, timers: time, random: () => 0 };
  const log = new Logger({ component: 'test', write: () => {} });
  for (const setting of [
    '',
    'zookeeper:x',
    'file:',
    'etcd:',
    'etcd:localhost:2379',
    'object:ftp://x',
    'toString:x',
  ]) {
    expect(() => openDiscovery(setting, { ...given, log }), setting).toThrow(/discovery/);
  }
});
