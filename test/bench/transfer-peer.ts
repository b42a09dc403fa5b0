/**
 * The other process of `bench:transfer`: a source with blocks of one size. Says its address and how fast it copies memory as a line of JSON;
 * ends with its standard input.
 */

import { createInterface } from 'node:readline';
import { blocksOfWord } from '../gpu-sidecar/kvbm/named-blocks.ts';
import { layoutOfBytes } from '../gpu-sidecar/transfer/memory-blocks.ts';
import { openOnly } from '../gpu-sidecar/transfer/open-only.ts';
import { SourceEnd } from '../gpu-sidecar/transfer/transfer-ends.ts';

const [backend = 'tcp', bytes = '1048576', count = '16', library = ''] = process.argv.slice(2);

const source = await SourceEnd.open({
  layout: layoutOfBytes(Number(bytes)),
  capacityBlocks: Number(count),
  open: openOnly(backend, library),
});
source.blocks.putRandom(blocksOfWord('b'.repeat(Number(count))));
process.stdout.write(`${JSON.stringify({ address: source.address })}\n`);
createInterface({ input: process.stdin }).on('close', () => process.exit(0));
