/** What a replay may be asked for, by which names, and what contradicts itself. */

import { describe, expect, test } from 'vitest';
import { type Cell, planOf } from '../../../cli/replay/plan.ts';
import { setNames } from '../../../cli/replay/set-names.ts';

const trace = {
  name: 'one',
  blockTokens: 512,
  requests: [{ atMs: 0, inputTokens: 1, outputTokens: 1, hashIds: [1] }],
};
const plan = (cell: Omit<Cell, 'trace'>) => planOf({ trace, ...cell });

test('nothing but a trace: one worker with the defaults of Dynamo', () => {
  const { pools, engine, host, handoffMsPerToken } = plan({});
  expect(pools).toMatchObject([{ role: 'aggregated', workers: 1, settings: { routerMode: 'kv' } }]);
  expect(engine).toMatchObject({ blockSizeTokens: 512, totalBlocks: 16_384, maxNumSeqs: 256 });
  expect({ host, handoffMsPerToken }).toEqual({ host: null, handoffMsPerToken: 0 });
});

test("settings go by Dynamo's names and by ours, however they are written", () => {
  for (const name of ['router_temperature', 'router-temperature', 'routerTemperature']) {
    expect(plan({ set: { [name]: '0.5' } }).pools[0]!.settings.routerTemperature).toBe(0.5);
  }
  expect(plan({ set: { router_mode: 'kv_router' } }).pools[0]!.settings.routerMode).toBe('kv');
  expect(plan({ router: 'round_robin' }).pools[0]!.settings.routerMode).toBe('round-robin');
  expect(plan({ set: { max_num_batched_tokens: 99 } }).engine.maxNumBatchedTokens).toBe(99);
  expect(plan({ set: { speedup_ratio: 2 } }).engine.speedup).toBe(2);
});

test("every field of Dynamo's router configuration that we have is listed, and every name listed is taken", () => {
  const names = setNames().map(({ name }) => name);
  for (const name of [
    'overlap_score_weight',
    'overlap_score_credit',
    'overlap_score_credit_decay',
    'prefill_load_scale',
    'decode_active_request_weight',
    'host_cache_hit_weight',
    'disk_cache_hit_weight',
    'router_temperature',
    'use_kv_events',
    'router_track_active_blocks',
    'router_track_output_blocks',
    'router_assume_kv_reuse',
    'router_track_prefill_tokens',
    'router_ttl_secs',
    'router_queue_threshold',
    'router_queue_policy',
    'router_predicted_ttl_secs',
    'router_approximate_cache_policy',
    'max_num_batched_tokens',
    'speedup_ratio',
  ]) {
    expect(names).toContain(name);
  }
  for (const { name, fallback } of setNames()) {
    if (fallback !== '') expect(() => plan({ set: { [name]: fallback } })).not.toThrow();
  }
});

test('prefill and decode pools route by what each must know', () => {
  const { pools } = plan({ prefillWorkers: 2, decodeWorkers: 3 });
  expect(pools.map(({ role, workers }) => [role, workers])).toEqual([
    ['prefill', 2],
    ['decode', 3],
  ]);
  expect(pools[0]!.settings).toMatchObject({ routerTrackActiveBlocks: false, overlapScoreCredit: 1 });
  expect(pools[1]!.settings).toMatchObject({ overlapScoreCredit: 0, routerTrackPrefillTokens: false });
});

test('a host tier and a hand-off take time by their bytes', () => {
  expect(plan({ hostBlocks: 10 }).host).toEqual({ capacityBlocks: 10, blockMs: (512 * 131_072) / 32e6 });
  const set = { kv_transfer_bandwidth: 2, kv_bytes_per_token: 1000 };
  expect(plan({ prefillWorkers: 1, decodeWorkers: 1, set }).handoffMsPerToken).toBeCloseTo(0.0005, 12);
});

describe('refused', () => {
  const bad: [string, Omit<Cell, 'trace'>, string][] = [
    ['no worker', { workers: 0 }, '--workers'],
    ['half a block', { blocks: 0.5 }, '--blocks'],
    ['time that stands still', { speedup: 0 }, '--speedup'],
    ['an unknown option', { bloks: 3 } as never, 'bloks'],
    ['workers of both kinds', { workers: 2, prefillWorkers: 1, decodeWorkers: 1 }, 'cannot go with'],
    ['prefill alone', { prefillWorkers: 1 }, 'go together'],
    ['a host tier without blocks', { hostGbps: 3 }, '--host-gbps is of the host tier'],
    ['bytes without a host tier', { bytesPerToken: 3 }, '--bytes-per-token is of the host tier'],
    ['half a hand-off', { set: { kv_transfer_bandwidth: 1 } }, 'go together'],
    ['an unknown setting', { set: { router_temprature: 1 } }, '--set router_temprature: no such setting'],
    ['a setting of the platform', { set: { port: 1 } }, '--set port: no such setting'],
    ['a wrong value', { set: { router_temperature: 'hot' } }, '--set router_temperature'],
    ['a wrong engine value', { set: { max_num_seqs: 0 } }, '--set max_num_seqs'],
    ['an unknown mode', { router: 'best' }, '--set router_mode'],
    ['two modes', { router: 'kv', set: { router_mode: 'random' } }, 'contradict each other'],
    ['output without active blocks', { set: outputWithoutActive() }, 'router_track_output_blocks'],
    [
      'predictions without events',
      { set: { router_predicted_ttl_secs: 1, use_kv_events: false } },
      'use_kv_events',
    ],
  ];
  test.each(bad)('%s', (_name, cell, message) => {
    expect(() => plan(cell)).toThrow(message);
    expect(() => plan(cell)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});

function outputWithoutActive() {
  return { router_track_output_blocks: true, router_track_active_blocks: false };
}
