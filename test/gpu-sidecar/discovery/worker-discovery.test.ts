/** Which platform a worker dials when discovery names none, one, several, or bad ones. */
import { expect, test } from 'vitest';
import { PLATFORMS_PREFIX } from '../../../durable/runtime/instance.ts';
import { Logger } from '../../../durable/runtime/log.ts';
import type { Discovery, DiscoveryChange } from '../../../gpu-sidecar/discovery/discovery.ts';
import { WorkerDiscovery } from '../../../gpu-sidecar/discovery/worker-discovery.ts';

function scripted() {
  let tell: (change: DiscoveryChange) => void = () => {};
  const discovery = {
    watch: (_prefix: string, changed: (change: DiscoveryChange) => void) => {
      tell = changed;
      return { synced: Promise.resolve(), close: () => {} };
    },
  } as unknown as Discovery;
  const log = new Logger({ component: 'test', write: () => {} });
  const worker = new WorkerDiscovery({ discovery, platformUrl: null, namespace: 'default', log });
  const key = (id: string) => PLATFORMS_PREFIX + id;
  return {
    worker,
    add: (id: string, value: string) => tell({ kind: 'added', key: key(id), value }),
    remove: (id: string) => tell({ kind: 'removed', key: key(id) }),
  };
}

const at = (url: string) => JSON.stringify({ url });

test('without a platform there is nothing to dial, with one that is it', () => {
  const { worker, add, remove } = scripted();
  expect(worker.platformUrl).toThrow(/no platform yet/);
  add('1', at('http://one/'));
  expect(worker.platformUrl()).toBe('http://one');
  add('1', at('http://one:2'));
  expect(worker.platformUrl()).toBe('http://one:2');
  remove('1');
  expect(worker.platformUrl).toThrow(/no platform yet/);
});

test('a worker stays with its platform when others come, and moves when it goes or cannot be reached', () => {
  const { worker, add, remove } = scripted();
  add('5', at('http://five'));
  expect(worker.platformUrl()).toBe('http://five');
  add('1', at('http://one'));
  expect(worker.platformUrl()).toBe('http://five');
  worker.unreachable();
  expect(worker.platformUrl()).toBe('http://one');
  worker.unreachable();
  expect(worker.platformUrl()).toBe('http://five');
  remove('5');
  expect(worker.platformUrl()).toBe('http://one');
});

test('records that name no address are passed over', () => {
  const { worker, add } = scripted();
  for (const bad of ['', '{', '[]', 'null', '{"url":7}', '{"url":"ftp://x"}', '{"url":"http://"}'])
    add('1', bad);
  expect(worker.platformUrl).toThrow(/no platform yet/);
});
