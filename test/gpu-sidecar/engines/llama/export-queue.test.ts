/** The order in which blocks are copied out, and who is told what. */

import { expect, it } from 'vitest';
import { ExportQueue } from '../../../../gpu-sidecar/engines/llama/export-queue.ts';
import { blocksOfWord } from '../../kvbm/named-blocks.ts';

const wanted = (word: string) =>
  blocksOfWord(word).map((identity) => ({ identity, into: new Uint8Array(1) }));

it('hands out urgent blocks before others, each in order, and answers when all of a call are done', async () => {
  const queue = new ExportQueue();
  let told = 0;
  queue.onOffered = () => told++;
  const slow = queue.exportBlocks(wanted('ab'), { urgent: false });
  const fast = queue.exportBlocks(wanted('cd'), { urgent: true });
  expect([told, queue.waiting]).toEqual([2, 4]);
  queue.take({ urgentOnly: true })!.done(true);
  queue.take({ urgentOnly: true })!.done(false);
  expect(await fast).toEqual([true, false]);
  expect(queue.take({ urgentOnly: true })).toBeUndefined();
  expect(queue.take({ urgentOnly: false })!.identity).toEqual(blocksOfWord('ab')[0]);
  queue.close();
  void slow;
});

it('answers no for everything that waits when it closes, and for everything after', async () => {
  const queue = new ExportQueue();
  const asked = queue.exportBlocks(wanted('abc'), { urgent: false });
  queue.take({ urgentOnly: false })!.done(true);
  queue.close();
  expect(await asked).toEqual([true, false, false]);
  expect(await queue.exportBlocks(wanted('x'), { urgent: true })).toEqual([false]);
  expect(await queue.exportBlocks([], { urgent: true })).toEqual([]);
});
