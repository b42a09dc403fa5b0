/** Pauses below a millisecond: one for all who wait at the time. */

import { expect, test } from 'vitest';
import { ShortPause } from '../../../../gpu-sidecar/transfer/backends/short-pause.ts';

test('who waits meanwhile waits for the same one, who comes later for another', async () => {
  const pause = new ShortPause(1);
  const first = pause.next();
  expect(pause.next()).toBe(first);
  await first;
  const second = pause.next();
  expect(second).not.toBe(first);
  await second;
});
