/** What watches the end-to-end tests' answers sees when one is not as published. */

import { describe, expect, it } from 'vitest';
import { type Answered, PublishedAnswers } from '../../harness/published-answers.ts';

const published = new PublishedAnswers();
const chat: Answered = {
  method: 'POST',
  path: '/v1/chat/completions',
  status: 200,
  contentType: 'application/json',
};
const usage = {
  prompt_tokens: 1,
  completion_tokens: 1,
  total_tokens: 2,
  prompt_tokens_details: { cached_tokens: 0 },
};
const message = { role: 'assistant', content: 'x', refusal: null };
const completion = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'm',
  choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
  usage,
};
const chunk = {
  ...completion,
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta: { content: 'x' }, logprobs: null, finish_reason: null }],
  usage: null,
};
const error = { error: { message: 'no', type: 'invalid_request_error', param: null, code: 'not_found' } };

function complaints(answered: Answered, body: string, whole = true): string[] {
  const said: string[] = [];
  const watched = published.watch(answered, (what) => said.push(what));
  for (const piece of body.match(/[\s\S]{1,7}/g) ?? []) watched.push(piece);
  watched.end(whole);
  return said;
}

const stream = (...events: unknown[]) =>
  events
    .map((event) => `id: 0\ndata: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`)
    .join('');
const streamed = { ...chat, contentType: 'text/event-stream; charset=utf-8' };

describe('an answer as published', () => {
  it('passes, whole, streamed, as an error and where no route is', () => {
    expect(complaints(chat, JSON.stringify(completion))).toEqual([]);
    expect(complaints(streamed, `: keep-alive\n\n${stream(chunk, '[DONE]')}`)).toEqual([]);
    expect(complaints(streamed, stream(chunk, error))).toEqual([]);
    expect(complaints({ ...chat, status: 400 }, JSON.stringify(error))).toEqual([]);
    expect(complaints({ ...chat, path: '/v1/nothing', status: 404 }, JSON.stringify(error))).toEqual([]);
    expect(complaints({ ...chat, method: 'GET', status: 405 }, JSON.stringify(error))).toEqual([]);
    expect(
      complaints({ ...chat, method: 'GET', path: '/metrics', contentType: 'text/plain' }, 'a 1'),
    ).toEqual([]);
  });

  it('may be cut by whoever leaves', () => {
    expect(complaints(chat, '{"id": "chatc', false)).toEqual([]);
    expect(complaints(streamed, 'data: {"id":', false)).toEqual([]);
  });
});

describe('an answer that is not as published', () => {
  it('is told: a missing field, an unknown one, a value out of range', () => {
    const { usage: _, model: __, ...modelless } = completion;
    expect(complaints(chat, JSON.stringify(modelless))[0]).toContain('model');
    expect(complaints(chat, JSON.stringify({ ...completion, extra: 1 }))).toHaveLength(1);
    expect(complaints(chat, JSON.stringify({ ...completion, created: -1 }))).toHaveLength(1);
    expect(complaints(chat, 'no JSON')).toHaveLength(1);
  });

  it('is told of one event of a stream, and of an end inside one', () => {
    expect(complaints(streamed, stream(chunk, { ...chunk, object: 'other' }, '[DONE]'))).toHaveLength(1);
    expect(complaints(streamed, 'data: {}')).toHaveLength(1);
  });

  it('is told of a status, a media type, a route', () => {
    expect(complaints({ ...chat, status: 302 }, '')).toHaveLength(1);
    expect(complaints({ ...chat, contentType: 'text/html' }, '')).toHaveLength(1);
    expect(complaints({ ...chat, path: '/v1/nothing' }, '{}')).toHaveLength(1);
    expect(complaints({ ...chat, status: 400 }, '{"detail":"no"}')).toHaveLength(1);
  });
});
