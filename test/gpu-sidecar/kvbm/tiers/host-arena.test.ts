/** Host memory: every slot its own bytes, small arenas and those that ask for huge pages. */

import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { expect, it } from 'vitest';
import { HostArena } from '../../../../gpu-sidecar/kvbm/tiers/host-arena.ts';

it.each([
  { capacityBlocks: 3, blockBytes: 1_000 },
  { capacityBlocks: 5, blockBytes: 1_048_577 },
])('gives $capacityBlocks slots of $blockBytes bytes, zeroed, none in another', (size) => {
  const arena = new HostArena(size);
  const slots = Array.from({ length: size.capacityBlocks }, (_, slot) => slot);
  for (const slot of slots) expect(arena.block(slot).every((byte) => byte === 0)).toBe(true);
  for (const slot of slots) arena.block(slot).fill(slot + 1);
  for (const slot of slots) {
    expect(arena.block(slot)).toHaveLength(size.blockBytes);
    expect(arena.block(slot).every((byte) => byte === slot + 1)).toBe(true);
  }
  arena.close();
});

it('says that there is not so much memory', () => {
  expect(() => new HostArena({ capacityBlocks: 2 ** 30, blockBytes: 2 ** 21 })).toThrow(
    'there is no memory for 2251799.8 GB of KV blocks; make the host tier smaller',
  );
});

it('memory that is shared can be opened by its name, and is the same memory', () => {
  const arena = new HostArena({ capacityBlocks: 2, blockBytes: 4096, shared: true });
  arena.block(1).fill(9);
  const { fd, name } = arena.shared!;
  const path = `/proc/self/fd/${fd}`;
  expect(readlinkSync(path)).toContain(name);
  expect(readFileSync(path).subarray(4096)).toEqual(Buffer.alloc(4096, 9));
  arena.close();
  expect(existsSync(path) && readlinkSync(path).includes(name)).toBe(false);
});
