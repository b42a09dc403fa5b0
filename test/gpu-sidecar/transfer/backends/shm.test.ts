/** `shm`: which windows a source takes, and which it does not. */

import { expect, test } from 'vitest';
import { HostArena } from '../../../../gpu-sidecar/kvbm/tiers/host-arena.ts';
import { systemTimers } from '../../../../gpu-sidecar/timers.ts';
import { ShmBackend } from '../../../../gpu-sidecar/transfer/backends/shm.ts';
import { ownProcess, whenGone } from '../../../../gpu-sidecar/transfer/host-process.ts';
import { ManualTime } from '../../../harness/manual-time.ts';

const GRANT = { capability: new Uint8Array(16), signal: new AbortController().signal };
const arenaOf = (shared: boolean) => new HostArena({ capacityBlocks: 4, blockBytes: 4096, shared });

async function described() {
  const backend = new ShmBackend(arenaOf(true), systemTimers);
  const window = (await backend.offer(backend.announce()))!;
  const description = JSON.parse(Buffer.from(window.description).toString());
  const open = (changed: object) =>
    backend.open(Buffer.from(JSON.stringify({ ...description, ...changed })), GRANT);
  return { description, open };
}

test('a window of this host and this life is taken', async () => {
  const { open } = await described();
  await (await open({})).close();
});

test('memory that is not shared cannot be offered', () => {
  expect(() => new ShmBackend(arenaOf(false), systemTimers)).toThrow('not shared memory');
});

test('a window of a dead process, of another one or by another name is stale', async () => {
  const { description, open } = await described();
  const dead = { ...description.process, started: '1' };
  await expect(open({ process: dead })).rejects.toMatchObject({ fault: 'stale_handle' });
  const name = `stator-kv-${'0'.repeat(32)}`;
  await expect(open({ name })).rejects.toMatchObject({ fault: 'stale_handle' });
  await expect(open({ fd: 99_999 })).rejects.toMatchObject({ fault: 'stale_handle' });
});

test('a window that is not as large as it says, or of another host, is refused', async () => {
  const { description, open } = await described();
  await expect(open({ bytes: 1 << 30 })).rejects.toMatchObject({ fault: 'protocol' });
  const process = { ...description.process, boot: 'x'.repeat(36) };
  await expect(open({ process })).rejects.toMatchObject({ fault: 'no_backend' });
  await expect(open({ bytes: -1 })).rejects.toMatchObject({ fault: 'protocol' });
});

test('a slot outside the window is not written', async () => {
  const { open } = await described();
  const pusher = await open({});
  const served = {
    identity: { hash: 1n, parent: null, tokensHash: 1n, position: 0 },
    bytes: new Uint8Array(4096),
    slot: 0,
    checksum: 0n,
    [Symbol.dispose]() {},
  };
  for (const slot of [4, 2 ** 31])
    await expect(pusher.push([{ index: 0, slot, served }])).rejects.toMatchObject({ fault: 'protocol' });
  await pusher.close();
});

test('a source on another host is given up after a time, one on this host when it is dead', async () => {
  const time = new ManualTime();
  let gone = 0;
  const own = { boot: 'a'.repeat(36), pid: 1, started: '1' };
  const never = new AbortController().signal;
  const waiting = { own, stopped: never, timers: time };
  void whenGone({ ...own, boot: 'b'.repeat(36) }, waiting).then(() => gone++);
  time.advance(59_000);
  await Promise.resolve();
  expect(gone).toBe(0);
  time.advance(1_000);
  await Promise.resolve();
  expect(gone).toBe(1);
  // No process has this start time.
  await whenGone({ ...own, pid: process.pid, started: '1' }, waiting);
  // What lives and says that it has stopped is waited for no longer.
  const stopped = new AbortController();
  const alive = whenGone(ownProcess(), { own: ownProcess(), stopped: stopped.signal, timers: time });
  stopped.abort();
  await alive;
  expect(time.waiting).toBe(0);
});
