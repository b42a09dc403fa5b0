/** workerd is killed with a large index: it has every worker's blocks again, exactly, from their dumps or from a snapshot. */

import { afterAll, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { BigFleet, benchDeployment } from '../bench/recovery.ts';

const BLOCKS = 100_000;
/** Prompt and worker: fresh, the system prompt, a conversation of that worker, one of another. */
const ASKED = [
  [0, 0],
  [1, 3],
  [2, 6],
  [5, 3],
  [5, 4],
] as const;
let deployment: Deployment | null = null;

afterAll(() => deployment?.stop(2_000));

it('knows all blocks again, with a snapshot and without', async () => {
  deployment = await benchDeployment();
  await deployment.startPlatform();
  const fleet = new BigFleet(deployment, BLOCKS);
  await fleet.join();
  const overlaps = async () => {
    const all: number[] = [];
    for (const [i, worker] of ASKED) all.push(await fleet.overlap(i, worker));
    return all;
  };
  const before = await overlaps();
  expect(before).toEqual([0, 32, 332, 332, 32]);

  const plain = await fleet.kill();
  expect(plain.restored).toBe(0);
  expect(await overlaps()).toEqual(before);

  await fleet.snapshotAfter(new Uint8Array(8).fill(7));
  const restored = await fleet.kill();
  expect(restored).toMatchObject({ blocks: plain.blocks + 1, restored: fleet.workers.length });
  expect(await overlaps()).toEqual(before);
  await fleet.leave();
}, 120_000);
