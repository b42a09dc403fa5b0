/** Mode disagg: the prompt on a prefill worker of one namespace, the answer on a decode worker of another. */
import { expect, test } from 'vitest';
import type { PoolInfo } from '../../functions/operations/pool-info.ts';
import { eventually, plan } from '../harness/deployment.ts';

const document = {
  num_prefill_pools: 2,
  num_decode_pools: 1,
  prefill_pool_dynamo_namespaces: ['prompts', 'nobody'],
  decode_pool_dynamo_namespaces: ['answers'],
  enable_priority_retry: true,
  prefill_pool_selection_strategy: {
    isl_min: 0,
    isl_max: 1_000,
    isl_resolution: 1,
    ttft_min: 0,
    ttft_max: 1_000,
    ttft_resolution: 2,
    prefill_pool_mapping: [[0, 1]],
  },
  decode_pool_selection_strategy: {
    context_length_min: 0,
    context_length_max: 1_000,
    context_length_resolution: 1,
    itl_min: 0,
    itl_max: 100,
    itl_resolution: 1,
    decode_pool_mapping: [[0]],
  },
};

test('each half goes to the pool of its grid, and comes to the same tokens as on one worker', async () => {
  const deployment = await plan({
    namespace: 'answers',
    globalRouter: JSON.stringify(document),
    logLevel: 'error',
  });
  await deployment.startPlatform();
  deployment.addSidecar({ workerType: 'decode' });
  deployment.addSidecar({ workerType: 'prefill', namespace: 'prompts' });
  const info = async () => (await (await fetch(`${deployment.url}/get_pool_info`)).json()) as PoolInfo;
  await eventually(
    'a worker in both pools',
    async () => {
      const { prefill_connected, decode_connected } = await info();
      return prefill_connected?.length === 1 && decode_connected?.length === 1 ? true : null;
    },
    60_000,
  );
  const ask = async (ttftTarget: number, content: string) => {
    const response = await fetch(`${deployment.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'stator-tiny',
        messages: [{ role: 'user', content }],
        max_tokens: 16,
        temperature: 0,
        stream: true,
        // In the answer, because headers may go out before a slow machine has computed a prompt.
        nvext: { router: { ttft_target: ttftTarget }, extra_fields: ['worker_id'] },
      }),
    });
    expect(response.status).toBe(200);
    const text = await response.text();
    const said = [...text.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g)].map(([, piece]) => piece).join('');
    const by = (field: string) => new RegExp(`"${field}":"([0-9a-f]+)"`).exec(text)?.[1] ?? null;
    return { said, prefill: by('prefill_worker_id'), decode: by('decode_worker_id') };
  };
  const worker = (index: number) => deployment.sidecarLines[index]!.instance;
  const words = `${'the field between rotor and stator does the work, '.repeat(6)}so what stands still?`;

  const apart = await ask(100, words);
  expect(apart).toMatchObject({ decode: worker(0), prefill: worker(1) });

  // The second prefill pool is empty, and the first is faster: priority retry takes that one.
  const retried = await ask(900, `Again: ${words}`);
  expect(retried).toMatchObject({ decode: worker(0), prefill: worker(1) });
  await eventually('both halves to be forgotten', async () =>
    (await info()).pools.every(({ in_flight }) => in_flight === 0) ? true : null,
  );

  // Without anybody to compute it the decode worker does, to the same tokens.
  await deployment.sidecars[1]!.stop(10_000);
  await fetch(`${deployment.url}/stator/v1/clear_kv_blocks`, { method: 'POST' });
  const alone = await eventually('an empty prefill pool', async () => {
    const answer = await ask(100, words);
    return answer.prefill === worker(1) ? null : answer;
  });
  expect(alone.said).toBe(apart.said);
}, 120_000);
