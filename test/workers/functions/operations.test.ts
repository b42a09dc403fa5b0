/** Models, health, metrics, status, the cache, the page. */

import { expect, test } from 'vitest';
import { errorOf, platform, post, scenario } from './scenario.ts';

test("a registered model is listed in OpenAI's form, with its context", async () => {
  const { model } = await scenario({
    steps: [{ kind: 'answer' }],
    workers: 2,
    card: { aliases: [`alias-${Date.now()}`] },
  });
  const one = await (await platform(`/v1/models/${model}`)).json();
  expect(one).toEqual({
    id: model,
    object: 'model',
    created: 1_700_000_000,
    owned_by: 'stator',
    description: 'scripted',
    aliases: [expect.stringMatching(/^alias-/)],
    context_length: 256,
    max_model_len: 256,
    kv_cache_block_size: 16,
    types: ['chat', 'completions'],
    workers: 2,
    status: 'ready',
  });
  const list = (await (await platform('/v1/models')).json()) as { object: string; data: { id: string }[] };
  expect(list.object).toBe('list');
  expect(list.data).toContainEqual(one);
});

test('an alias answers for its model', async () => {
  const alias = `nick-${Math.floor(Math.random() * 1e9)}`;
  const run = await scenario({ steps: [{ kind: 'answer' }], card: { aliases: [alias] } });
  const response = await run.chat({ model: alias });
  expect(await response.text()).toContain('[DONE]');
  expect((await run.log()).generate[0]!.model).toBe(alias);
});

test('an unknown model is a 404', async () => {
  const response = await platform('/v1/models/no/such/model');
  expect(response.status).toBe(404);
  expect(await errorOf(response)).toMatchObject({ code: 'model_not_found', param: 'model' });
});

test('health names the instances that serve', async () => {
  const { workers } = await scenario({ steps: [{ kind: 'answer' }] });
  const health = (await (await platform('/health')).json()) as {
    status: string;
    endpoints: string[];
    instances: string[];
  };
  expect(health.status).toBe('healthy');
  expect(health.endpoints).toEqual(['dyn://default.backend.generate']);
  expect(health.instances).toContain(workers[0]);
});

test('metrics hold the function side and the router, once each', async () => {
  const run = await scenario({ steps: [{ kind: 'answer' }] });
  await (await run.chat()).text();
  const text = await (await platform('/metrics')).text();
  expect(text).toContain(
    `stator_frontend_requests_total{model="${run.model}",endpoint="chat_completions",request_type="stream",status="success"} 1`,
  );
  expect(text).toMatch(/^# TYPE stator_frontend_request_duration_seconds histogram$/m);
  expect(text).toMatch(/^# TYPE stator_router_/m);
  const types = text.split('\n').filter((line) => line.startsWith('# TYPE'));
  expect(new Set(types).size).toBe(types.length);
});

test("status is the router's own", async () => {
  const { workers, model } = await scenario({ steps: [{ kind: 'answer' }] });
  const status = (await (await platform('/stator/v1/status')).json()) as {
    workers: { instanceId: string; model: string }[];
  };
  expect(status.workers).toContainEqual(expect.objectContaining({ instanceId: workers[0], model }));
  expect((await platform('/stator/v1/status?namespace=nowhere')).status).toBe(404);
});

test('clearing the cache tells the workers', async () => {
  const { clients } = await scenario({ steps: [{ kind: 'answer' }] });
  const answer = (await (await post('/stator/v1/clear_kv_blocks', '')).json()) as {
    status: string;
    workers: number;
  };
  expect(answer.status).toBe('cleared');
  expect(answer.workers).toBeGreaterThan(0);
  expect(await clients[0]!.take('clearKv')).toBeDefined();
});

test('the page says what runs here and that the built-in model is a demonstration', async () => {
  const { model } = await scenario({
    steps: [{ kind: 'answer' }],
    card: { description: '<script>alert(1)</script>' },
  });
  const response = await platform('/');
  expect(response.headers.get('content-type')).toContain('text/html');
  const html = await response.text();
  expect(html).toContain(model);
  expect(html).toContain('a demonstration, not an assistant');
  expect(html).toContain('curl -N http://stator.test/v1/chat/completions');
  expect(html).not.toContain('<script');
});
