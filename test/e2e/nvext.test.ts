/** What an answer says of itself on request: the worker that the head names, and times that fit each other. */

import { beforeAll, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy } from '../harness/deployment.ts';
import { chat, events } from '../harness/sse.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await deploy({ workers: 2, engine: 'mock', modelName: 'stator-tiny', engineSpeedup: 10 });
}, 60_000);

interface Said {
  worker_id: Record<string, string | number>;
  timing: Record<string, number>;
}

const request = {
  model: 'stator-tiny',
  messages: [{ role: 'user', content: 'hi' }],
  max_tokens: 5,
  nvext: { extra_fields: ['worker_id', 'timing'] },
};

function check(response: Response, { worker_id, timing }: Said, sentMs: number): void {
  const worker = response.headers.get('x-stator-worker');
  expect(worker).toMatch(/^[0-9a-f]{16}$/);
  expect([worker_id['prefill_worker_id'], worker_id['decode_worker_id']]).toEqual([worker, worker]);
  expect(Math.abs(timing['request_received_ms']! - sentMs)).toBeLessThan(60_000);
  expect(timing['ttft_ms']!).toBeCloseTo(timing['prefill_wait_time_ms']! + timing['prefill_time_ms']!, 2);
  expect(timing['worker_ttft_ms']!).toBeLessThanOrEqual(timing['ttft_ms']!);
  expect(timing['total_time_ms']!).toBeGreaterThanOrEqual(timing['ttft_ms']!);
}

test('an answer says who computed it, and how long that took, where it was asked to', async () => {
  const sentMs = Date.now();
  const whole = await chat(deployment.url, request);
  check(whole, ((await whole.json()) as { nvext: Said }).nvext, sentMs);
  const streamed = await chat(deployment.url, { ...request, stream: true });
  const said: Said[] = [];
  for await (const { data } of events(streamed)) {
    const nvext = data === '[DONE]' ? undefined : (JSON.parse(data) as { nvext?: Said }).nvext;
    if (nvext !== undefined) said.push(nvext);
  }
  expect(said).toHaveLength(1);
  check(streamed, said[0]!, sentMs);
});

test('an answer that was not asked says nothing', async () => {
  const { nvext: _, ...plain } = request;
  const answer = (await (await chat(deployment.url, plain)).json()) as object;
  expect(Object.keys(answer)).not.toContain('nvext');
});

test('a stream that was asked to begins with its prompt, as events that clients of chunks do not see', async () => {
  const nvext = { annotations: ['formatted_prompt', 'token_ids', 'llm_metrics'] };
  const streamed = await chat(deployment.url, { ...request, nvext, stream: true });
  const [prompt = '', tokens = '', first = ''] = (await streamed.text()).split('\n\n');
  expect(prompt).toMatch(/^event: formatted_prompt\n: ".*hi.*"$/);
  expect(tokens).toMatch(/^event: token_ids\n: \[\d+(,\d+)*\]$/);
  expect(first).toMatch(/^id: 0/);
  const token_data = JSON.parse(tokens.slice(tokens.indexOf('['))) as number[];
  const usage = async (body: object) => {
    const whole = await chat(deployment.url, { ...request, ...body });
    return ((await whole.json()) as { usage: { prompt_tokens: number } }).usage.prompt_tokens;
  };
  expect(await usage({ nvext: { token_data } })).toBe(await usage({ nvext: {} }));
});
