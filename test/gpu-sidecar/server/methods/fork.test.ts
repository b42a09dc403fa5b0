/** Several choices against a scripted engine: who is started when, who is stopped, and in what order they are told. */

import { expect, test } from 'vitest';
import { generate } from '../../../../gpu-sidecar/server/methods/generate.ts';
import { RecordingSink } from '../recording-sink.ts';
import { documentOutput, packed, requestOf, workerOf } from '../worker-of.ts';

type Init = NonNullable<Parameters<typeof requestOf>[0]>;

function fork(n: number, change: Init = {}) {
  const worker = workerOf();
  const sink = new RecordingSink();
  const init = { sampling: { n }, output: documentOutput, ...change } as Init;
  const observer = generate(worker, requestOf(init), sink);
  return { worker, sink, observer, requests: worker.engine.requests };
}

const contents = (text: string): string[] =>
  JSON.parse(text).choices.map((choice: { message: { content: string } }) => choice.message.content);

test('the others begin when the first has computed the prompt, each with its own number', () => {
  const { requests } = fork(3);
  expect(requests).toHaveLength(1);
  requests[0]!.start(2);
  expect(requests.map(({ request }) => request.sampling.choice)).toEqual([0, 1, 2]);
});

test('the document has all of them in order, and the prompt once', () => {
  const { sink, requests } = fork(2);
  requests[0]!.start(2);
  requests[1]!.start(3);
  requests[1]!.say('xyz').sink.end('length');
  expect(sink.ended).toBe(false);
  requests[0]!.say('a').sink.end('stop');
  expect(contents(sink.text)).toEqual(['a', 'xyz']);
  expect(JSON.parse(sink.text).usage).toMatchObject({
    prompt_tokens: 3,
    completion_tokens: 4,
    prompt_tokens_details: { cached_tokens: 2 },
  });
});

test('a choice that meets a stop string is stopped, the others go on', () => {
  const { sink, requests } = fork(2, { stop: { maxTokens: 9, stop: ['!'] } });
  requests[0]!.start();
  requests[1]!.start().say('ab');
  requests[0]!.say('!');
  expect(requests.map(({ aborted }) => aborted)).toEqual([true, false]);
  requests[1]!.sink.end('length');
  expect(contents(sink.text)).toEqual(['', 'ab']);
});

test('a client that leaves stops all of them, a failure of one does too', () => {
  const left = fork(2);
  left.requests[0]!.start();
  left.observer.closed();
  expect(left.requests.every(({ aborted }) => aborted)).toBe(true);
  const failed = fork(2);
  failed.requests[0]!.start();
  failed.requests[1]!.sink.end('error', new Error('broken weights'));
  expect(failed.requests[0]!.aborted).toBe(true);
  expect(failed.sink.refused).toMatchObject({ code: 'engine_error' });
});

test('an engine that takes the first and refuses the second refuses the request', () => {
  const { worker, sink, requests } = fork(2);
  worker.engine.refusal = new Error('full');
  requests[0]!.start();
  expect(sink.refused).toMatchObject({ message: 'full' });
  expect(requests[0]!.aborted).toBe(true);
});

test('a continued stream starts those that have not ended, behind their own tokens', () => {
  // In turns: a, b, c; choice 0 ends; e and f are of 1 and 2.
  const tokenIds = packed([0x61, 0x62, 0x63, 0xffff_fffe, 0x65, 0x66]);
  const { requests, worker } = fork(3, {
    output: { ...documentOutput, stream: true },
    resume: { tokenIds, events: 10 },
  });
  expect([...requests[0]!.request.tokenIds]).toEqual([1, 2, 3, 0x62, 0x65]);
  requests[0]!.start();
  expect([...requests[1]!.request.tokenIds]).toEqual([1, 2, 3, 0x63, 0x66]);
  expect(requests[1]!.request.sampling.choice).toBe(2);
  expect(worker.engine.requests).toHaveLength(2);
});

test('one that was continued at its last token ends without the engine', () => {
  const tokenIds = packed([0x61, 0x62, 0xffff_fffe]);
  const { requests, sink } = fork(2, {
    stop: { maxTokens: 1 },
    output: { ...documentOutput, stream: true },
    resume: { tokenIds, events: 5 },
  });
  expect(requests).toHaveLength(0);
  expect(sink.text).toContain('"index":1,"delta":{},"logprobs":null,"finish_reason":"length"');
  expect(sink.text).toContain('[DONE]');
});
