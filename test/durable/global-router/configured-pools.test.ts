/** Documents of pools: what they mean, and what is said of those that mean nothing. */

import { describe, expect, test } from 'vitest';
import { configuredPools } from '../../../durable/global-router/configured-pools.ts';
import { toStatorError } from '../../../durable/runtime/errors.ts';
import { aggDocument, disaggDocument, grid } from './pool-documents.ts';

const NO_TARGETS = { ttftMs: null, itlMs: null };
const configured = (document: unknown) => configuredPools(document, NO_TARGETS);

function refusal(document: unknown): string {
  try {
    configured(document);
  } catch (thrown) {
    const { code, param, message } = toStatorError(thrown);
    expect(code).toBe('invalid_request');
    if (param !== null) expect(message).toContain(param);
    return `${param}`;
  }
  return 'taken';
}

describe('a document of pools', () => {
  test('has the priorities of its order where it names none, and old keys mean what the new ones do', () => {
    const { groups } = configured(disaggDocument());
    if (groups.mode !== 'disagg') throw new Error('mode is disagg where it is not said');
    expect(groups.prefill.pools).toEqual([
      { name: 'p0', priority: 0 },
      { name: 'p1', priority: 1 },
    ]);
    expect(groups.prefill.axes[1]).toEqual({ quantity: 'ttft', min: 0, max: 1_000, resolution: 2 });
    expect(groups.decode.mapping).toEqual([0, 1, 1, 1]);
    const both = aggDocument({}, { ttft_min: 7 });
    expect(configured(both).groups).toEqual(configured(aggDocument()).groups);
  });

  test('of mode agg may have a third axis, the length of the prompt', () => {
    const isl = { isl_min: 0, isl_max: 8_000, isl_resolution: 2 };
    const cube = [grid(2, 3, () => 0), grid(2, 3, () => 2)];
    const { groups } = configured(aggDocument({}, { ...isl, agg_pool_mapping: cube }));
    expect(groups.mode === 'agg' && groups.agg.axes.map(({ quantity }) => quantity)).toEqual([
      'isl',
      'ttft',
      'itl',
    ]);
    expect(groups.mode === 'agg' && groups.agg.mapping).toEqual([0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2]);
  });

  test('may name pools elsewhere, whose key it never has', () => {
    const elsewhere = { name: 'theirs', base_url: 'https://api.example.com/v1/' };
    const names = ['fast', 'slow', 'openai:theirs'];
    const { openaiPools } = configured(
      aggDocument({ agg_pool_dynamo_namespaces: names, openai_pools: [elsewhere] }),
    );
    expect(openaiPools).toEqual([
      {
        name: 'openai:theirs',
        baseUrl: 'https://api.example.com/v1',
        model: null,
        overflow: true,
        timeoutMs: 30_000,
      },
    ]);
    const withKey = aggDocument({ openai_pools: [{ ...elsewhere, api_key: 'sk-1' }] });
    expect(refusal(withKey)).toBe('openai_pools[0]');
  });

  const strategy = 'agg_pool_selection_strategy';
  const rule = { min_priority: 1, max_priority: 2, target_pool: 0 };
  test.each([
    ['no object', 17, 'null'],
    ['another mode', aggDocument({ mode: 'both' }), 'mode'],
    ['a field that nobody knows', aggDocument({ pools: 3 }), 'null'],
    ['fewer pools than it says', aggDocument({ num_agg_pools: 4 }), 'agg_pool_dynamo_namespaces'],
    ['a priority too few', aggDocument({ agg_pool_priorities: [0, 1] }), 'agg_pool_priorities'],
    [
      'a priority that is no integer',
      aggDocument({ agg_pool_priorities: [0, 1, 1.5] }),
      'agg_pool_priorities[2]',
    ],
    [
      'a pool twice',
      aggDocument({ agg_pool_dynamo_namespaces: ['a', 'b', 'a'] }),
      'agg_pool_dynamo_namespaces[2]',
    ],
    [
      'a name that no namespace can have',
      aggDocument({ agg_pool_dynamo_namespaces: ['a', 'B', 'c'] }),
      'agg_pool_dynamo_namespaces[1]',
    ],
    [
      'an unknown pool elsewhere',
      aggDocument({ agg_pool_dynamo_namespaces: ['a', 'b', 'openai:x'] }),
      'agg_pool_dynamo_namespaces[2]',
    ],
    [
      'an address that is none',
      aggDocument({ openai_pools: [{ name: 'x', base_url: 'ftp://x' }] }),
      'openai_pools[0].base_url',
    ],
    ['min above max', aggDocument({}, { ttft_min_ms: 1_000 }), `${strategy}.ttft_min_ms`],
    ['no cells', aggDocument({}, { itl_resolution: 0 }), `${strategy}.itl_resolution`],
    ['NaN', aggDocument({}, { itl_max_ms: Number.NaN }), `${strategy}.itl_max_ms`],
    [
      'a row too few',
      aggDocument({}, { agg_pool_mapping: grid(1, 3, () => 0) }),
      `${strategy}.agg_pool_mapping`,
    ],
    [
      'a row that is too long',
      aggDocument(
        {},
        {
          agg_pool_mapping: [
            [0, 0, 0],
            [0, 0, 0, 0],
          ],
        },
      ),
      `${strategy}.agg_pool_mapping[1]`,
    ],
    [
      'a pool that is not there',
      aggDocument(
        {},
        {
          agg_pool_mapping: [
            [0, 0, 0],
            [0, 3, 0],
          ],
        },
      ),
      `${strategy}.agg_pool_mapping[1][1]`,
    ],
    [
      'a plane for three axes',
      aggDocument({}, { isl_min: 0, isl_max: 1, isl_resolution: 2 }),
      `${strategy}.agg_pool_mapping[0]`,
    ],
    ['half an axis', aggDocument({}, { isl_min: 0, isl_max: 1 }), `${strategy}.isl_resolution`],
    [
      'an override the wrong way round',
      aggDocument({}, { priority_overrides: [{ ...rule, min_priority: 3 }] }),
      `${strategy}.priority_overrides[0].min_priority`,
    ],
    [
      'an override to nowhere',
      aggDocument({}, { priority_overrides: [{ ...rule, target_pool: 3 }] }),
      `${strategy}.priority_overrides[0].target_pool`,
    ],
    [
      'a pool elsewhere for half a request',
      disaggDocument({
        openai_pools: [{ name: 'x', base_url: 'http://x' }],
        prefill_pool_dynamo_namespaces: ['p0', 'openai:x'],
      }),
      'prefill_pool_dynamo_namespaces[1]',
    ],
    ['a grid without end', aggDocument({}, { ttft_resolution: 60_000, itl_resolution: 60_000 }), strategy],
  ])('with %s is refused by its field', (_, document, param) => {
    expect(refusal(document)).toBe(param);
  });
});
