/**
 * The disk half of `bench:transfer`: blocks written to and read from the disk tier's store, through the tier (checksums,
 * records), in turns with as many bytes by the bare calls (FileHandle write and read, as many at once) and with `cp` of a file of
 * that size, all in the same folder.
 */

import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BlockIdentity } from '../../gpu-sidecar/kvbm/block.ts';
import { blockChecksum } from '../../gpu-sidecar/kvbm/tiers/checksum.ts';
import { DiskStore } from '../../gpu-sidecar/kvbm/tiers/disk-store.ts';
import { HostArena } from '../../gpu-sidecar/kvbm/tiers/host-arena.ts';
import type { BlockDescription } from '../../gpu-sidecar/kvbm/tiers/tier-store.ts';

/** As the manager moves them. */
const AT_ONCE = 4;

export interface DiskFigures {
  block_bytes: number;
  blocks: number;
  rounds: number;
  tier_gb_per_s: { write: number; read: number };
  file_gb_per_s: { write: number; read: number };
  /** Bytes copied per second: each is read once and written once. */
  cp_gb_per_s: number;
  /**
   * Of the medians. `there_and_back`: each byte written and read once by the tier, and by the bare calls; `cp`: the same by the
   * tier against a copy of the file.
   */
  ratio: { write: number; read: number; there_and_back: number; cp: number };
}

const run = promisify(execFile);

type Step = (slot: number) => Promise<unknown>;

export async function measureDisk(options: {
  blockBytes: number;
  blocks: number;
  rounds: number;
}): Promise<DiskFigures> {
  const { blockBytes, blocks, rounds } = options;
  const folder = await mkdtemp(join(tmpdir(), 'stator-bench-'));
  const arena = new HostArena({ capacityBlocks: 2 * blocks, blockBytes });
  try {
    arena.bytes.fill(7);
    const described = Array.from({ length: blocks }, (_, i) => describe(i, arena.block(i)));
    const tier = { folder: join(folder, 'tier'), capacityBlocks: blocks, blockBytes, layout: '0'.repeat(16) };
    const { store } = await DiskStore.open(tier);
    const file = await open(join(folder, 'plain'), 'w+');
    const steps: Record<string, Step> = {
      tierWrite: (i) => store.write(i, described[i]!, arena.block(i)),
      fileWrite: (i) => file.write(arena.block(i), 0, blockBytes, i * blockBytes),
      tierRead: (i) => store.read(i, described[i]!, arena.block(blocks + i)),
      fileRead: (i) => file.read(arena.block(blocks + i), 0, blockBytes, i * blockBytes),
    };
    const times: Record<string, number[]> = Object.fromEntries(Object.keys(steps).map((name) => [name, []]));
    times['cp'] = [];
    for (let round = 0; round <= rounds; round++) {
      const note = (name: string, ms: number) => {
        // The first round makes the files and touches the memory.
        if (round > 0) times[name]!.push((blocks * blockBytes) / 1e6 / ms);
      };
      for (const [name, step] of Object.entries(steps)) note(name, await timed(blocks, step));
      note('cp', await copyMs(join(folder, 'plain'), join(folder, 'copy')));
    }
    await store.close();
    await file.close();
    const median = (name: string) => times[name]!.sort((a, b) => a - b)[Math.floor(rounds / 2)]!;
    const of = (kind: string) => ({
      write: Number(median(`${kind}Write`).toFixed(2)),
      read: Number(median(`${kind}Read`).toFixed(2)),
    });
    const thereAndBackMs = (kind: string) => 1 / median(`${kind}Write`) + 1 / median(`${kind}Read`);
    const ratio = (what: string) => Number((median(`tier${what}`) / median(`file${what}`)).toFixed(2));
    return {
      block_bytes: blockBytes,
      blocks,
      rounds,
      tier_gb_per_s: of('tier'),
      file_gb_per_s: of('file'),
      cp_gb_per_s: Number(median('cp').toFixed(2)),
      ratio: {
        write: ratio('Write'),
        read: ratio('Read'),
        there_and_back: Number((thereAndBackMs('file') / thereAndBackMs('tier')).toFixed(2)),
        cp: Number((1 / median('cp') / thereAndBackMs('tier')).toFixed(2)),
      },
    };
  } finally {
    arena.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function describe(i: number, bytes: Uint8Array): BlockDescription {
  const identity: BlockIdentity = { hash: BigInt(i + 1), parent: null, tokensHash: 1n, position: i };
  return { identity, checksum: blockChecksum(identity.hash, bytes) };
}

/** Milliseconds for all slots, a few at once. */
async function timed(blocks: number, step: Step): Promise<number> {
  const fromMs = performance.now();
  let next = 0;
  const worker = async () => {
    while (next < blocks) await step(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return performance.now() - fromMs;
}

/** Over a file that is there already, byte by byte, whatever the file system could share. */
async function copyMs(from: string, to: string): Promise<number> {
  const fromMs = performance.now();
  await run('cp', ['--reflink=never', from, to]);
  return performance.now() - fromMs;
}
