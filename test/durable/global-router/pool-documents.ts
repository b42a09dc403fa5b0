/** Documents of pools as people write them. */

export const grid = (rows: number, columns: number, pool: (row: number, column: number) => number) =>
  Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => pool(row, column)));

/** Three pools, the first the fastest: TTFT targets up to 1 s in two cells, ITL up to 90 ms in three. */
export const aggDocument = (change: object = {}, strategy: object = {}) => ({
  mode: 'agg',
  num_agg_pools: 3,
  agg_pool_dynamo_namespaces: ['fast', 'middle', 'slow'],
  agg_pool_selection_strategy: {
    ttft_min_ms: 0,
    ttft_max_ms: 1_000,
    ttft_resolution: 2,
    itl_min_ms: 0,
    itl_max_ms: 90,
    itl_resolution: 3,
    agg_pool_mapping: grid(2, 3, (_, column) => column),
    ...strategy,
  },
  ...change,
});

export const disaggDocument = (change: object = {}) => ({
  num_prefill_pools: 2,
  num_decode_pools: 2,
  prefill_pool_dynamo_namespaces: ['p0', 'p1'],
  decode_pool_dynamo_namespaces: ['d0', 'd1'],
  prefill_pool_selection_strategy: {
    isl_min: 0,
    isl_max: 4_000,
    isl_resolution: 2,
    ttft_min: 0,
    ttft_max: 1_000,
    ttft_resolution: 2,
    prefill_pool_mapping: [
      [0, 1],
      [0, 0],
    ],
  },
  decode_pool_selection_strategy: {
    context_length_min: 0,
    context_length_max: 4_000,
    context_length_resolution: 2,
    itl_min: 0,
    itl_max: 100,
    itl_resolution: 2,
    decode_pool_mapping: [
      [0, 1],
      [1, 1],
    ],
  },
  ...change,
});
