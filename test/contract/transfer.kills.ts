/**
 * Either process of a transfer killed with -9 at random points, real processes: the other one goes on, gets fewer blocks
 * or none, and has nothing left that is held, reserved or waiting.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from 'vitest';
import type { BackendName } from '../../gpu-sidecar/transfer/backend.ts';
import { blocksOfWord } from '../gpu-sidecar/kvbm/named-blocks.ts';
import { layoutOfBytes } from '../gpu-sidecar/transfer/memory-blocks.ts';
import { openOnly } from '../gpu-sidecar/transfer/open-only.ts';
import { ReaderEnd, SourceEnd } from '../gpu-sidecar/transfer/transfer-ends.ts';
import { soon } from '../harness/soon.ts';

const BLOCK_BYTES = 262_144;
const BLOCKS = blocksOfWord('abcdefghijklmnopqrstuvwxyz'.repeat(3));
const KILLS = Number(process.env['STATOR_TRANSFER_KILLS'] ?? 4);
const NEVER = new AbortController().signal;
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function start(script: string, ...args: string[]): ChildProcess {
  const file = join(import.meta.dirname, '..', script);
  const child = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [line] = await once(createInterface({ input: child.stdout! }), 'line');
  return String(line);
}

export function transferKills(backend: BackendName): void {
  const options = {
    layout: layoutOfBytes(BLOCK_BYTES),
    capacityBlocks: BLOCKS.length,
    open: openOnly(backend),
  };

  describe(`transfer by ${backend}, processes killed`, () => {
    test('a source that is killed: a beginning of right blocks, every other slot given back', async () => {
      await using reader = await ReaderEnd.open(options);
      for (let kill = 0; kill < KILLS; kill++) {
        const source = start('bench/transfer-peer.ts', backend, String(BLOCK_BYTES), String(BLOCKS.length));
        const { address } = JSON.parse(await firstLine(source)) as { address: string };
        const exited = once(source, 'exit');
        const at = Math.floor((BLOCKS.length * kill) / KILLS);
        if (at === 0) source.kill('SIGKILL');
        // The peer has its blocks named after a word of its own.
        const blocks = blocksOfWord('b'.repeat(BLOCKS.length));
        const onProgress = (leading: number) => void (leading >= at && source.kill('SIGKILL'));
        const result = await reader.puller.pull({ address, blocks, signal: NEVER, onProgress });
        await exited;
        if (result.fault) expect(['unreachable', 'reset', 'short_read']).toContain(result.fault);
        for (const block of blocks.slice(0, result.blocks)) expect(reader.blocks.has(block)).toBe(true);
        const came = blocks.filter((block) => reader.blocks.has(block)).length;
        await soon(() => expect(reader.blocks.freeSlots).toBe(BLOCKS.length - came));
        expect(reader.counted('transfer_quarantined_blocks')).toBe(0);
        reader.blocks.clear();
      }
    });

    test('a reader that is killed: the source holds nothing for it', async () => {
      await using source = await SourceEnd.open(options);
      source.blocks.putRandom(BLOCKS.slice(0, -1));
      for (let kill = 0; kill < KILLS; kill++) {
        // Its last block never comes, so that it is alive when it is killed.
        const reader = start(
          'gpu-sidecar/transfer/reader-process.ts',
          backend,
          source.address,
          String(BLOCK_BYTES),
        );
        const lines = createInterface({ input: reader.stdout! });
        const at = Math.floor((BLOCKS.length * kill) / KILLS);
        const exited = once(reader, 'exit');
        lines.on('line', (line) => void (Number(line) >= at && reader.kill('SIGKILL')));
        await exited;
        await soon(() => {
          expect(source.grants.size).toBe(0);
          expect(source.blocks.held).toBe(0);
          expect(source.counted('transfer_held_blocks')).toBe(0);
        });
      }
      await using reader = await ReaderEnd.open(options);
      const blocks = BLOCKS.slice(0, -1);
      const result = await reader.puller.pull({ address: source.address, blocks, signal: NEVER });
      expect(result).toMatchObject({ blocks: blocks.length, fault: null });
    });
  });
}
