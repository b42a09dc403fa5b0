/**
 * The other process of `bench:transfer`: a source with blocks of one size. Says where it is as a line of JSON, pushes all its blocks into a
 * window for each line that describes one, and ends with its standard input.
 */

import { createInterface } from 'node:readline';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { blocksOfWord } from '../gpu-sidecar/kvbm/named-blocks.ts';
import { layoutOfBytes } from '../gpu-sidecar/transfer/memory-blocks.ts';
import { openOnly } from '../gpu-sidecar/transfer/open-only.ts';
import { SourceEnd } from '../gpu-sidecar/transfer/transfer-ends.ts';

const [backend = 'tcp', bytes = '1048576', count = '16', library = ''] = process.argv.slice(2);

const source = await SourceEnd.open({
  layout: layoutOfBytes(Number(bytes)),
  capacityBlocks: Number(count),
  // Elsewhere memory has huge pages.
  shared: backend === 'shm',
  open: openOnly(backend, library || undefined),
});
const blocks = blocksOfWord('b'.repeat(Number(count)));
source.blocks.putRandom(blocks);
const say = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`);
say({ address: source.address, announced: Buffer.from(source.backend.announce()).toString('base64') });

/** The backend alone: every block into the window that the line describes, and how long that took. */
async function pushAll(window: Uint8Array, capability: Uint8Array): Promise<number> {
  const pusher = await source.backend.open(window, { capability, signal: new AbortController().signal });
  const held = blocks.map(({ hash }, index) => ({ index, slot: index, served: source.blocks.hold(hash)! }));
  const atOnce = Math.max(1, Math.floor(LIMITS.transferPushBytes / Number(bytes)));
  const fromMs = performance.now();
  for (let at = 0; at < held.length; at += atOnce) await pusher.push(held.slice(at, at + atOnce));
  const ms = performance.now() - fromMs;
  for (const { served } of held) served[Symbol.dispose]();
  setImmediate(() => void pusher.close());
  return ms;
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { window, capability } = JSON.parse(line) as { window: string; capability: string };
    void pushAll(Buffer.from(window, 'base64'), Buffer.from(capability, 'base64')).then((ms) => say({ ms }));
  })
  .on('close', () => process.exit(0));
