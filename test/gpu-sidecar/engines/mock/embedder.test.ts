/** The mock's vectors: the same for the same tokens, of length 1, in the time of a prompt, and none for who has left. */

import { expect, test } from 'vitest';
import { MockEmbedder } from '../../../../gpu-sidecar/engines/mock/embedder.ts';
import { prefillMs } from '../../../../gpu-sidecar/engines/mock/timing.ts';

/** A clock that only notes what it is asked for. */
function clock() {
  const due: { delayMs: number; run: () => void }[] = [];
  return {
    due,
    nowMs: () => 0,
    after(delayMs: number, run: () => void) {
      const entry = { delayMs, run };
      due.push(entry);
      return () => void due.splice(due.indexOf(entry), 1);
    },
  };
}

const never = new AbortController().signal;
const ids = (...values: number[]) => Uint32Array.from(values);

test('vectors are a function of the tokens, of length 1, and differ', async () => {
  const embedder = new MockEmbedder({ maxTokens: 8, speedup: 0, clock: clock() });
  const rows = await embedder.embed([ids(1, 2, 3), ids(3, 2, 1), ids(1, 2, 3)], never);
  const row = (at: number) => rows.slice(at * embedder.dimensions, (at + 1) * embedder.dimensions);
  expect(row(0)).toEqual(row(2));
  expect(row(0)).not.toEqual(row(1));
  for (const at of [0, 1]) expect(row(at).reduce((sum, value) => sum + value ** 2, 0)).toBeCloseTo(1, 5);
});

test('a call takes the time of its tokens as a prompt, and the next one waits for it', async () => {
  const time = clock();
  const embedder = new MockEmbedder({ maxTokens: 8, speedup: 2, clock: time });
  const first = embedder.embed([ids(1, 2), ids(3)], never);
  const gone = new AbortController();
  const second = embedder.embed([ids(4)], gone.signal).catch((error) => error.code);
  await new Promise(setImmediate);
  expect(time.due.map(({ delayMs }) => delayMs)).toEqual([prefillMs(3) / 2]);
  time.due.shift()!.run();
  expect((await first).length).toBe(2 * embedder.dimensions);
  await new Promise(setImmediate);
  expect(time.due).toHaveLength(1);
  gone.abort();
  expect(await second).toBe('cancelled');
  expect(time.due).toEqual([]);
});
