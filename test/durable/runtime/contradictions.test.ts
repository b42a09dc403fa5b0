/** Is every pair of settings that cannot go together refused with both of their names? */

import { expect, test } from 'vitest';
import { settingsFromEnv } from '../../../durable/runtime/config.ts';

test.each([
  [{ STATOR_ROUTER_TRACK_OUTPUT_BLOCKS: 'true', STATOR_ROUTER_TRACK_ACTIVE_BLOCKS: 'false' }],
  [{ STATOR_ROUTER_PREFILL_LOAD_MODEL: 'measured', STATOR_ROUTER_TRACK_PREFILL_TOKENS: 'false' }],
  [{ STATOR_ROUTER_PREDICTED_TTL_SECS: '2', STATOR_USE_KV_EVENTS: 'false' }],
  [{ STATOR_ROUTER_APPROXIMATE_CACHE_POLICY: 'lru', STATOR_USE_KV_EVENTS: 'true' }],
  [{ STATOR_OVERLAP_SCORE_WEIGHT: '3', STATOR_PREFILL_LOAD_SCALE: '2' }],
  [{ STATOR_OVERLAP_SCORE_WEIGHT: '0', STATOR_OVERLAP_SCORE_CREDIT: '2' }],
])('%o is one error that names both', (env) => {
  expect(() => settingsFromEnv(env)).toThrow(new RegExp(Object.keys(env).join('.*')));
  for (const [name, value] of Object.entries(env)) {
    const alone = { [name]: value };
    if (name === 'STATOR_ROUTER_APPROXIMATE_CACHE_POLICY' || name === 'STATOR_USE_KV_EVENTS') continue;
    expect(settingsFromEnv(alone)).toBeDefined();
  }
});

test('a contradiction with a default names the setting as the file has it', () => {
  expect(() => settingsFromEnv({ STATOR_ROUTER_APPROXIMATE_CACHE_POLICY: 'lru' })).toThrow('use_kv_events');
});

test('a planner that looks at engines is refused where none are seen', () => {
  const seen = {
    STATOR_PLANNER_METRICS: 'prometheus',
    STATOR_PLANNER_PROMETHEUS_URL: 'http://prometheus:9090',
  };
  expect(() => settingsFromEnv({ ...seen, STATOR_PLANNER: 'load' })).toThrow(
    /STATOR_PLANNER.*through prometheus.*STATOR_PLANNER_METRICS/,
  );
  expect(settingsFromEnv({ ...seen, STATOR_PLANNER: 'sla' }).plannerMetrics).toBe('prometheus');
});

test('a multiplier out of its range is named', () => {
  expect(() => settingsFromEnv({ STATOR_SHARED_CACHE_MULTIPLIER: '1.5' })).toThrow(
    'STATOR_SHARED_CACHE_MULTIPLIER',
  );
  expect(() => settingsFromEnv({ STATOR_OVERLAP_SCORE_CREDIT: '-1' })).toThrow('STATOR_OVERLAP_SCORE_CREDIT');
  expect(() => settingsFromEnv({ STATOR_OVERLAP_SCORE_CREDIT: 'Infinity' })).toThrow(
    'STATOR_OVERLAP_SCORE_CREDIT',
  );
  expect(() => settingsFromEnv({ STATOR_ACTIVE_DECODE_BLOCKS_THRESHOLD: '1.2' })).toThrow(
    'STATOR_ACTIVE_DECODE_BLOCKS_THRESHOLD',
  );
});
