/** A reader in a process of its own, to be killed: pulls, and says how many leading blocks it has as lines of numbers. */

import { blocksOfWord } from '../kvbm/named-blocks.ts';
import { layoutOfBytes } from './memory-blocks.ts';
import { openOnly } from './open-only.ts';
import { ReaderEnd } from './transfer-ends.ts';

const [backend = '', address = '', bytes = ''] = process.argv.slice(2);
const blocks = blocksOfWord('abcdefghijklmnopqrstuvwxyz'.repeat(3));
const reader = await ReaderEnd.open({
  layout: layoutOfBytes(Number(bytes)),
  capacityBlocks: blocks.length,
  open: openOnly(backend),
});
const say = (leading: number) => void process.stdout.write(`${leading}\n`);
say(0);
await reader.puller.pull({ address, blocks, signal: new AbortController().signal, onProgress: say });
process.exit(0);
