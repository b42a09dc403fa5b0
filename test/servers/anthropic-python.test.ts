/** The official `anthropic` Python client, unmodified, against a real deployment. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { idle } from '../harness/deployment.ts';
import { API_KEY, ARGUMENTS, deployDictated, LAST_WORDS, MODEL } from '../harness/dictated.ts';
import { pythonWithPackages, seenByPython } from './python.ts';

let deployment: Deployment;
let python: string;
beforeAll(async () => {
  python = await pythonWithPackages();
  deployment = await deployDictated();
}, 600_000);

/** What the client saw in a scenario of anthropic_client.py. */
const seen = <T>(scenario: string): Promise<T> =>
  seenByPython<T>(python, 'anthropic_client.py', [deployment.url, API_KEY, scenario]);

interface Usage {
  input_tokens: number;
  cache_read_input_tokens: number;
  output_tokens: number;
}

describe('the anthropic Python client', () => {
  it('gets the same message streamed and whole, with thinking and text', async () => {
    const answer = await seen<Record<string, unknown[]>>('same_message');
    const content = [
      { type: 'thinking', thinking: 'Hm, é.', signature: expect.stringMatching(/^sig_/) },
      { type: 'text', text: 'Grüße 😀, world.' },
    ];
    expect(answer).toMatchObject({ whole: content, streamed: content, text: 'Grüße 😀, world.' });
    expect(answer['stop_reasons']).toEqual(['end_turn', 'end_turn']);
    expect(new Set(answer['output_tokens']).size).toBe(1);
  });

  it('has its tools called, streamed and whole, and goes on with their results', async () => {
    const call = { type: 'tool_use', name: 'get_weather', input: ARGUMENTS, id: expect.any(String) };
    expect(await seen('tools')).toMatchObject({
      calls: [call, call],
      stop_reasons: ['tool_use', 'tool_use'],
      last: [{ type: 'text', text: LAST_WORDS }],
    });
  });

  it('runs a tool by itself', async () => {
    expect(await seen('tool_runner')).toEqual({
      asked: [['Köln', 3]],
      last: [{ type: 'text', text: 'Sunny, then.' }],
    });
  });

  it('sees usage that adds up, and counts tokens alike', async () => {
    const { counted, first, second } = await seen<{ counted: number; first: Usage; second: Usage }>('usage');
    for (const usage of [first, second]) {
      expect(usage.input_tokens + usage.cache_read_input_tokens).toBe(counted);
    }
    expect(second.cache_read_input_tokens).toBeGreaterThan(100);
  });

  it('stops the engine when it leaves a stream', async () => {
    expect(await seen('abort')).toEqual({ pieces: 3 });
    await idle(deployment);
  });

  it('raises its own error classes, which say what is wrong', async () => {
    const request_id = expect.stringMatching(/^req_/);
    const wrong = { class: 'BadRequestError', status: 400, type: 'invalid_request_error', request_id };
    expect(await seen('errors')).toEqual({
      'unknown model': {
        class: 'NotFoundError',
        status: 404,
        type: 'not_found_error',
        message: expect.stringContaining("'dictatde'"),
        request_id,
      },
      'no messages': { ...wrong, message: 'messages: at least one message is required' },
      'wrong key': {
        class: 'AuthenticationError',
        status: 401,
        type: 'authentication_error',
        message: 'Incorrect API key provided.',
        request_id,
      },
      streamed: { ...wrong, message: expect.stringMatching(/^max_tokens: /) },
    });
  });

  it('lists models', async () => {
    expect(await seen('models')).toEqual({ listed: [MODEL], retrieved: 'model' });
  });
});
