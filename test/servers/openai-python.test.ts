/** The official `openai` Python client, unmodified, against a real deployment. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy, idle } from '../harness/deployment.ts';
import { ARGUMENTS, deployDictated, LAST_WORDS } from '../harness/dictated.ts';
import { pythonWithPackages, seenByPython } from './python.ts';

const API_KEY = 'sk-stator-test';

let deployment: Deployment;
let python: string;
beforeAll(async () => {
  python = await pythonWithPackages();
  deployment = await deploy({ workers: 1, engine: 'llama', apiKey: API_KEY });
}, 600_000);

/** What the client saw in a scenario of openai_client.py. */
const seen = <T>(scenario: string, at = deployment): Promise<T> =>
  seenByPython<T>(python, 'openai_client.py', [`${at.url}/v1`, API_KEY, scenario]);

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

describe('the openai Python client', () => {
  it('gets the same text streamed and whole', async () => {
    const { whole, streamed, deltas, finish_reason } = await seen<{
      whole: string;
      streamed: string;
      deltas: number;
      finish_reason: string;
    }>('same_text');
    expect(whole.length).toBeGreaterThan(10);
    expect(streamed).toBe(whole);
    expect(deltas).toBeGreaterThan(3);
    expect(finish_reason).toBe('stop');
  });

  it('sees the same usage once, streamed and whole', async () => {
    const { whole, streamed } = await seen<{ whole: Usage; streamed: Usage[] }>('usage');
    expect(whole.total_tokens).toBe(whole.prompt_tokens + whole.completion_tokens);
    expect(whole.completion_tokens).toBeGreaterThan(3);
    expect(streamed).toHaveLength(1);
    expect(streamed[0]).toMatchObject({
      prompt_tokens: whole.prompt_tokens,
      completion_tokens: whole.completion_tokens,
      total_tokens: whole.total_tokens,
    });
  });

  it('has its responses told, stored, continued and deleted', async () => {
    const kinds = ['reasoning', 'message', 'function_call'];
    expect(await seen('responses', await deployDictated())).toEqual({
      kinds: [kinds, kinds],
      texts: ['Let me look.', 'Let me look.'],
      arguments: ARGUMENTS,
      retrieved: 'Let me look.',
      first_and_last: ['response.created', 'response.completed'],
      last: LAST_WORDS,
      listed: ['function_call_output'],
      deleted: 404,
    });
  });

  it('has its tools called, streamed and whole, and goes on with their results', async () => {
    const call = { name: 'get_weather', arguments: ARGUMENTS, id: expect.any(String) };
    expect(await seen('tools', await deployDictated())).toEqual({
      calls: [[call], [call]],
      finish_reasons: ['tool_calls', 'tool_calls'],
      last: LAST_WORDS,
    });
  });

  it('stops the engine when it leaves a stream', async () => {
    expect(await seen('abort')).toEqual({ pieces: 3 });
    await idle(deployment);
  });

  it('raises its own error classes, with the field that is wrong', async () => {
    const request_id = expect.stringMatching(/^req_/);
    expect(await seen('errors')).toEqual({
      'unknown model': {
        class: 'NotFoundError',
        status: 404,
        code: 'model_not_found',
        param: 'model',
        request_id,
      },
      'no messages': {
        class: 'BadRequestError',
        status: 400,
        code: 'invalid_request',
        param: 'messages',
        request_id,
      },
      'wrong key': {
        class: 'AuthenticationError',
        status: 401,
        code: 'invalid_api_key',
        param: null,
        request_id,
      },
    });
  });

  it('lists models and completes a plain prompt', async () => {
    const { completion_tokens, ...rest } = await seen<Record<string, unknown>>('models');
    expect(rest).toEqual({ listed: ['stator-tiny'], retrieved: 'model', completion: 'text_completion' });
    expect(completion_tokens).toBeGreaterThan(0);
  });
});
