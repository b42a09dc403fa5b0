/** Does the extension object say to the router what Dynamo's does, and name what it does not know? */

import { expect, test } from 'vitest';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { chatRequest } from '../../../functions/openai/chat-request.ts';

const hello = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };
const routing = (nvext: unknown, more = {}) => chatRequest({ ...hello, nvext, ...more }).routing;

const errorOf = (nvext: unknown): StatorError => {
  try {
    routing(nvext);
  } catch (thrown) {
    if (thrown instanceof StatorError) return thrown;
  }
  throw new Error('nothing was refused');
};

test('without it nothing is wished', () => {
  expect(chatRequest(hello).routing).toBeNull();
  expect(routing({})).toEqual({});
});

test('workers are pinned by their hex id, or by a number', () => {
  expect(routing({ backend_instance_id: '00a1' })).toEqual({ pinned: '00a1' });
  expect(routing({ decode_worker_id: 161, dp_rank: 2 })).toEqual({ pinned: '00000000000000a1', dpRank: 2 });
  expect(routing({ allowed_worker_ids: ['a1', 'b2'] })).toEqual({ allowedWorkerIds: ['a1', 'b2'] });
});

test('taints, adapter, salt, session and expected length arrive in the words of the router', () => {
  const constraints = { required_taints: ['gpu=h200'], preferred_taints: { 'zone=a': 1 } };
  expect(
    routing({
      routing_constraints: constraints,
      lora_name: 'adapter',
      cache_salt: 'tenant',
      agent_hints: { osl: 300 },
      session_control: { session_id: 's1', action: 'close' },
    }),
  ).toEqual({
    requiredTaints: ['gpu=h200'],
    preferredTaints: { 'zone=a': 1 },
    lora: 'adapter',
    cacheNamespace: 'tenant',
    expectedOutputTokens: 300,
    session: { id: 's1', final: true },
  });
  expect(routing({ session_id: 's2' })).toEqual({ session: { id: 's2', final: false } });
  expect(routing(undefined, { cache_salt: 'top' })).toEqual({ cacheNamespace: 'top' });
});

test('every override has its place', () => {
  const router_config_override = {
    overlap_score_credit: 2,
    overlap_score_weight: 0,
    prefill_load_scale: 3,
    router_temperature: 0.5,
    shared_cache_multiplier: 1,
    assume_kv_reuse: false,
    track_prefill_tokens: false,
  };
  expect(routing({ router_config_override })?.override).toEqual({
    overlapScoreCredit: 2,
    overlapScoreWeight: 0,
    prefillLoadScale: 3,
    temperature: 0.5,
    sharedCacheMultiplier: 1,
    assumeKvReuse: false,
    trackPrefillTokens: false,
  });
});

test('the query annotation and the wish to know why', () => {
  for (const annotation of ['query_instance_id', 'query_instance_id:', 'query_instance_id:7']) {
    expect(routing({ annotations: [annotation] })).toEqual({ queryOnly: true });
  }
  expect(routing({ annotations: ['query_instance_id_extra:7', 'token_ids'] })).toEqual({});
  expect(routing({ extra_fields: ['worker_id', 'routing'] })).toEqual({ explain: true });
});

test.each([
  [{ router_config_override: { overlap_credit: 1 } }, 'nvext.router_config_override.overlap_credit'],
  [
    { router_config_override: { shared_cache_multiplier: 1.5 } },
    'nvext.router_config_override.shared_cache_multiplier',
  ],
  [{ router_config_override: { router_temperature: -1 } }, 'nvext.router_config_override.router_temperature'],
  [{ backend_instance_id: 'worker-1' }, 'nvext.backend_instance_id'],
  [{ backend_instance_id: -4 }, 'nvext.backend_instance_id'],
  [{ allowed_worker_ids: [] }, 'nvext.allowed_worker_ids'],
  [{ routing_constraints: { taints: [] } }, 'nvext.routing_constraints.taints'],
  [{ agent_hints: { osl: -1 } }, 'nvext.agent_hints.osl'],
  [{ sesion_id: 'typo' }, 'nvext.sesion_id'],
])('%o is refused by the name of the field', (nvext, param) => {
  const error = errorOf(nvext);
  expect(error.code).toBe('invalid_request');
  expect(error.param).toBe(param);
  expect(error.message).toContain(param);
});

test('what the answer is to say of itself', () => {
  const extras = (extra_fields: string[]) => chatRequest({ ...hello, nvext: { extra_fields } }).answerExtras;
  expect(extras(['worker_id'])).toEqual({ workerId: true, timing: false });
  expect(extras(['timing', 'worker_id', 'routed_experts'])).toEqual({ workerId: true, timing: true });
  expect(extras(['routing'])).toBeUndefined();
});

test('sampling as older clients of Dynamo send it; the body itself wins', () => {
  const made = (nvext: unknown, more = {}) => chatRequest({ ...hello, temperature: 0.7, nvext, ...more });
  const nvext = { top_k: 5, repetition_penalty: 1.2, ignore_eos: true };
  expect(made(nvext).sampling).toMatchObject({ topK: 5, repetitionPenalty: 1.2 });
  expect(made(nvext).stop.ignoreEos).toBe(true);
  expect(made(nvext, { top_k: 9, ignore_eos: false })).toMatchObject({
    sampling: { topK: 9 },
    stop: { ignoreEos: false },
  });
  expect(made({ greed_sampling: true }).sampling.temperature).toBe(0);
  expect(made({ greed_sampling: false }).sampling.temperature).toBe(0.7);
});

test('tokens in place of the messages', () => {
  const { prompt } = chatRequest({ ...hello, nvext: { token_data: [1, 2, 3] } });
  expect(prompt).toEqual({ kind: 'tokens', tokenIds: Uint32Array.of(1, 2, 3) });
  expect(errorOf({ token_data: [1, -2] }).param).toBe('nvext.token_data[1]');
});

test('annotations that are events', () => {
  const annotations = (names: string[]) =>
    chatRequest({ ...hello, nvext: { annotations: names } }).annotations;
  expect(annotations(['token_ids', 'llm_metrics', 'formatted_prompt'])).toEqual({
    names: ['token_ids', 'formatted_prompt'],
  });
  expect(annotations(['llm_metrics'])).toBeUndefined();
});

test('prefill and decode worker are named apart', () => {
  expect(routing({ decode_worker_id: 'd1', prefill_worker_id: 'a1', prefill_dp_rank: 2 })).toEqual({
    pinned: 'd1',
    prefillPinned: 'a1',
    prefillDpRank: 2,
  });
  expect(errorOf({ prefill_worker_id: 'not hex' }).param).toBe('nvext.prefill_worker_id');
});

test('fields without effect here are checked all the same', () => {
  expect(routing({ router: { ttft_target: 200, itl_target: 20 }, use_raw_prompt: true })).toEqual({});
  expect(errorOf({ router: { ttft_target: -1 } }).param).toBe('nvext.router.ttft_target');
  expect(errorOf({ router: { tfft_target: 1 } }).param).toBe('nvext.router.tfft_target');
  expect(errorOf({ max_thinking_tokens: 'many' }).param).toBe('nvext.max_thinking_tokens');
});
