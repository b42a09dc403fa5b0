/** Does a field mean the same wherever it may stand, and does one of another service change nothing? */

import { expect, test } from 'vitest';
import { embeddingsRequest } from '../../../functions/embeddings/embeddings-request.ts';
import { chatRequest } from '../../../functions/openai/chat-request.ts';
import { completionsRequest } from '../../../functions/openai/completions-request.ts';
import { parseBody } from '../../../functions/openai/parse.ts';
import { responsesSchema } from '../../../functions/openai/responses-schema.ts';
import { ownItems, placed } from '../../../functions/responses/history.ts';
import { newResponseId } from '../../../functions/responses/response-id.ts';
import { responsesRequest } from '../../../functions/responses/responses-request.ts';

const chat = (more: object) =>
  chatRequest({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...more });

/** Of every one a value that is not its default. */
const SAMPLING = {
  temperature: 0.3,
  top_p: 0.9,
  top_k: 7,
  min_p: 0.1,
  seed: 5,
  presence_penalty: 0.5,
  frequency_penalty: -0.5,
  repetition_penalty: 1.2,
  logit_bias: { 17: 3 },
  stop: ['a', 'b'],
  stop_token_ids: [4],
  min_tokens: 2,
  ignore_eos: true,
  priority: 3,
  cache_salt: 'salt',
  nvext: { agent_hints: { priority: 4 }, extra_fields: ['timing'] },
};

test('sampling and stopping is in completions and responses what it is in the chat', () => {
  const { sampling, stop, priority, routing, agentHints } = chat({ ...SAMPLING, max_tokens: 9 });
  const completion = completionsRequest({ model: 'm', prompt: 'hi', ...SAMPLING, max_tokens: 9 });
  expect(completion).toMatchObject({ sampling, stop, priority, routing, agentHints });
  const body = parseBody(responsesSchema, { model: 'm', input: 'hi', ...SAMPLING, max_output_tokens: 9 });
  const items = ownItems(body.input, newResponseId('0198c6a2-7b1e-7abc-9def-0123456789ab', 1));
  const response = responsesRequest(body, placed(items));
  expect(response).toMatchObject({ sampling, stop, priority, routing, agentHints });
});

test('each of them has an effect', () => {
  for (const [field, value] of Object.entries(SAMPLING)) {
    expect(chat({ [field]: value }), field).not.toEqual(chat({}));
  }
});

test('fields that mean something elsewhere change nothing', () => {
  const foreign = {
    use_beam_search: false,
    skip_special_tokens: true,
    service_tier: 'flex',
    prompt_cache_key: 'key',
    prompt_cache_retention: '24h',
    safety_identifier: 'someone',
    prediction: { type: 'content', content: 'hi' },
    verbosity: 'low',
    modalities: ['text'],
    audio: null,
    functions: null,
    user: 'me',
    metadata: { a: 'b' },
    store: true,
  };
  expect(chat(foreign)).toEqual(chat({}));
  const input = { model: 'm', input: 'hi' };
  expect(embeddingsRequest({ ...input, user: 'me' })).toEqual(embeddingsRequest(input));
});

test('the effort of thought is a switch of the template', () => {
  const { prompt } = chat({ reasoning_effort: 'low', chat_template_kwargs: { enable_thinking: true } });
  const switches = { reasoning_effort: 'low', enable_thinking: true };
  expect(prompt).toMatchObject({ extras: { switches } });
});
