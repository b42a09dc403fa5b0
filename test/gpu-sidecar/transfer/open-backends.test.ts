/** Which ways there are, in which order, and what is said of those that there are not. */

import { expect, test } from 'vitest';
import { HostArena } from '../../../gpu-sidecar/kvbm/tiers/host-arena.ts';
import { systemTimers } from '../../../gpu-sidecar/timers.ts';
import { openBackends } from '../../../gpu-sidecar/transfer/open-backends.ts';

const options = {
  nixlLibrary: '/nowhere/at/all',
  arena: new HostArena({ capacityBlocks: 1024, blockBytes: 4096, shared: true }),
  host: '127.0.0.1',
  tls: null,
  timers: systemTimers,
};

test('without a setting: all that there are, and why not the others', async () => {
  await using opened = await openBackends({ ...options, wanted: '' });
  expect(opened.available.map(({ name }) => name)).toEqual(['shm', 'tcp']);
  expect(opened.missing).toEqual([
    { name: 'cuda-ipc', reason: expect.stringContaining('only where transfer_backends names it') },
    { name: 'nixl', reason: expect.stringContaining('there is no libnixl_capi.so at /nowhere/at/all') },
  ]);
});

test('the setting restricts and orders', async () => {
  await using opened = await openBackends({ ...options, wanted: 'tcp,shm' });
  expect(opened.available.map(({ name }) => name)).toEqual(['tcp', 'shm']);
  expect(opened.missing).toEqual([]);
});

test('a name that there is not is refused with the names that there are', async () => {
  await expect(openBackends({ ...options, wanted: 'tcp,rdma' })).rejects.toThrow(
    'transfer_backends: rdma is none of cuda-ipc, shm, nixl, tcp',
  );
});
