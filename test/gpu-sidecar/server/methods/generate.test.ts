/** Generate against a scripted engine on hand-driven time: heads, comments, refusals, readers that leave or stall. */

import { describe, expect, test } from 'vitest';
import { StatorError } from '../../../../durable/runtime/errors.ts';
import { Dialect } from '../../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { generate } from '../../../../gpu-sidecar/server/methods/generate.ts';
import { RecordingSink } from '../recording-sink.ts';
import { documentOutput, packed, requestOf, type TestWorkerOptions, workerOf } from '../worker-of.ts';

function call(request = requestOf(), options: TestWorkerOptions = {}) {
  const worker = workerOf(options);
  const sink = new RecordingSink();
  const observer = generate(worker, request, sink);
  return { worker, sink, observer, engine: worker.engine, time: worker.time };
}

describe('the head of a stream', () => {
  test('goes out with the first token and says what was cached', () => {
    const { sink, engine, time } = call();
    time.advance(100);
    expect(sink.sentHead).toBeNull();
    engine.last.start(2).say('h');
    time.turn();
    expect(sink.sentHead).toEqual({
      contentType: 'text/event-stream',
      requestId: 'req_1',
      cachedTokens: 2,
      lengthBytes: null,
    });
    expect(sink.writes).toHaveLength(1);
    expect(sink.text).toContain('"role":"assistant"');
    expect(sink.text).toContain('"content":"h"');
  });

  test('does not wait longer than a second, and comments follow until the first token', () => {
    const { sink, engine, time } = call();
    time.advance(999);
    expect(sink.sentHead).toBeNull();
    time.advance(1);
    expect(sink.sentHead).toMatchObject({ cachedTokens: null, lengthBytes: null });
    time.advance(1000);
    expect(sink.text).toBe(': keep-alive\n\n'.repeat(3));
    engine.last.start().say('h');
    time.advance(5000);
    expect(sink.writes).toHaveLength(4);
  });

  test('a refusal before it keeps its status, one after it is an error event', () => {
    const early = call();
    early.engine.last.sink.end('error', new Error('broken weights'));
    expect(early.sink.refused).toMatchObject({ code: 'engine_error', message: 'broken weights' });
    const late = call();
    late.time.advance(1000);
    late.engine.last.sink.end('error', new StatorError('overloaded', 'too much'));
    expect(late.sink.refused).toBeNull();
    expect(late.sink.writes.at(-1)).toMatch(/^data: \{"error":.*"code":"overloaded"\}\}\n\n$/);
    expect(late.sink.ended).toBe(true);
  });
});

describe('a response', () => {
  test('that is complete at once goes out in one piece of known length', () => {
    const { sink, engine, time } = call();
    engine.last.start().say('hi');
    engine.last.sink.end('length');
    expect(sink.writes).toHaveLength(1);
    expect(sink.sentHead?.lengthBytes).toBe(Buffer.byteLength(sink.text));
    expect(sink.ended).toBe(true);
    time.advance(10_000);
    expect(time.waiting).toBe(0);
  });

  test('of tokens that arrive in one turn is one write, of several turns several', () => {
    const { sink, engine, time } = call();
    engine.last.start().say('abc');
    time.turn();
    expect(sink.writes).toHaveLength(1);
    engine.last.say('d');
    time.turn();
    expect(sink.writes).toHaveLength(2);
    expect(sink.writes[1]).toMatch(/^id: 4:2s\ndata: .*"content":"d".*\n\n$/);
  });

  test('stops the engine at a stop string', () => {
    const { sink, engine } = call(requestOf({ stop: { maxTokens: 10, stop: ['b'] } }));
    engine.last.start().say('abc');
    expect(engine.last.aborted).toBe(true);
    expect(sink.text).toContain('"finish_reason":"stop"');
    expect(sink.text).not.toContain('"c"');
  });

  test('without streaming is white space after a second and every half second, then the document', () => {
    const { sink, engine, time } = call(requestOf({ output: documentOutput }));
    engine.last.start();
    time.advance(400);
    engine.last.say('a');
    time.advance(1600);
    expect(sink.sentHead?.lengthBytes).toBeNull();
    expect(sink.writes).toEqual([' ', ' ', ' ']);
    engine.last.sink.end('length');
    expect(JSON.parse(sink.text)).toMatchObject({ choices: [{ message: { content: 'a' } }] });
  });

  test('without streaming that is ready in time has its length', () => {
    const { sink, engine, time } = call(requestOf({ output: documentOutput }));
    time.advance(900);
    engine.last.start(3).say('a');
    expect(sink.sentHead).toBeNull();
    engine.last.sink.end('stop');
    expect(sink.sentHead).toMatchObject({ cachedTokens: 3, lengthBytes: Buffer.byteLength(sink.text) });
  });
});

describe('a reader', () => {
  test.each([
    ['waiting for the first token', ''],
    ['in mid-stream', 'some text'],
  ])('that leaves while %s stops the engine at once, and the router hears of it', (_, said) => {
    const { engine, observer, worker, time } = call();
    if (said !== '') engine.last.start().say(said);
    time.turn();
    observer.closed();
    expect(engine.last.aborted).toBe(true);
    expect(worker.reports.at(-1)).toMatchObject({ phase: 'end', finishReason: 'cancelled' });
    expect(worker.admission.open).toBe(0);
    expect(time.waiting).toBe(0);
  });

  test('that leaves a document stops the engine, too', () => {
    const { engine, observer } = call(requestOf({ output: documentOutput }));
    engine.last.start().say('a');
    observer.closed();
    expect(engine.last.aborted).toBe(true);
  });

  test('that is slow gets everything later in one write', () => {
    const { sink, engine, time } = call();
    sink.full = true;
    engine.last.start().say('a');
    time.turn();
    engine.last.say('b');
    time.turn();
    engine.last.say('c');
    time.turn();
    expect(sink.writes).toHaveLength(1);
    sink.drain();
    expect(sink.writes).toHaveLength(2);
    expect(sink.writes[1]).toContain('"b"');
    expect(sink.writes[1]).toContain('"c"');
  });

  test('that stalls until the buffer is full is cut off and its engine stopped', () => {
    const { sink, engine, time, worker } = call(requestOf({ stop: { maxTokens: 50 } }), {
      limits: { responseBufferBytes: 500 },
    });
    sink.full = true;
    engine.last.start().say('a');
    time.turn();
    engine.last.say('bcdefg');
    expect(sink.wasCut).toBe(true);
    expect(engine.last.aborted).toBe(true);
    expect(worker.metrics.text()).toContain('stator_worker_stalled_readers_total 1');
  });
});

describe('the router is told', () => {
  test('acceptance, first token, growth per block and the end', () => {
    const { engine, worker, time } = call();
    time.advance(20);
    engine.last.start(2).say('abcdef');
    time.advance(30);
    engine.last.sink.end('length');
    expect(worker.reports.map(({ phase, outputTokens }) => [phase, outputTokens])).toEqual([
      ['accepted', 0],
      ['first-token', 1],
      ['growth', 2],
      ['growth', 6],
      ['end', 6],
    ]);
    expect(worker.reports.at(-1)).toMatchObject({
      reservation: 9,
      routerBoot: 4,
      cachedTokens: 2,
      ttftMs: 20,
      totalMs: 50,
      finishReason: 'length',
    });
  });

  test('nothing about a request that was refused or that nobody reserved', () => {
    const refused = workerOf();
    refused.engine.refusal = new StatorError('overloaded', 'full');
    const sink = new RecordingSink();
    generate(refused, requestOf(), sink);
    expect(sink.refused?.code).toBe('overloaded');
    expect(refused.reports).toEqual([]);
    const direct = call(requestOf({ reservation: 0 }));
    direct.engine.last.start().say('a').sink.end('stop');
    expect(direct.worker.reports).toEqual([]);
  });
});

describe('a continued stream', () => {
  const resume = {
    tokenIds: packed([104]),
    events: 2,
    partialEvent: Buffer.from('id: 2:2t\nda'),
    cachedTokens: 1,
  };

  test('gives the engine prompt and old tokens and sends from the missing byte on', () => {
    const { sink, engine, time } = call(requestOf({ resume }));
    expect([...engine.last.request.tokenIds]).toEqual([1, 2, 3, 104]);
    expect(engine.last.request.promptTokens).toBe(3);
    time.advance(2000);
    expect(sink.headFlushed).toBe(true);
    expect(sink.text).toBe('');
    engine.last.start(0).say('e');
    time.turn();
    expect(sink.text).toMatch(/^ta: \{.*"content":"e".*\}\n\n$/);
  });

  test('that had all its tokens ends without the engine', () => {
    const { sink, engine, worker } = call(
      requestOf({ resume: { ...resume, partialEvent: Buffer.from('id: 2:\n') }, stop: { maxTokens: 1 } }),
    );
    expect(engine.requests).toEqual([]);
    expect(worker.reports).toMatchObject([
      { phase: 'accepted', reservation: 9 },
      { phase: 'end', reservation: 9, finishReason: 'length' },
    ]);
    expect(sink.text).toMatch(/^data: .*"finish_reason":"length".*\n\nid: 3:\ndata: \[DONE\]\n\n$/);
  });

  test('that cannot be repeated from its old tokens ends with an error event before the engine', () => {
    const { sink, engine, worker } = call(
      requestOf({ resume: { ...resume, partialEvent: Buffer.from('id: 7:') }, stop: { maxTokens: 1 } }),
    );
    expect(engine.requests).toEqual([]);
    expect(sink.text).toContain('"code":"migration_exhausted"');
    expect(worker.reports.at(-1)).toMatchObject({ phase: 'end', finishReason: 'error' });
  });

  test('that does not repeat itself ends with an error event, is counted and stops the engine', () => {
    const { sink, engine, worker } = call(requestOf({ resume }));
    engine.last.start().say('x');
    expect(sink.text).toContain('"code":"migration_exhausted"');
    expect(engine.last.aborted).toBe(true);
    expect(worker.metrics.text()).toContain('stator_worker_resume_diverged_total 1');
  });
});

describe('a worker', () => {
  test('that drains refuses new requests so that another worker is tried', () => {
    const worker = workerOf();
    worker.lifecycle.advance('draining');
    const sink = new RecordingSink();
    generate(worker, requestOf(), sink);
    expect(sink.refused).toMatchObject({ code: 'worker_draining', retryable: true });
  });

  test('holds a bounded number of responses and frees their places', () => {
    const worker = workerOf({ limits: { concurrentRequests: 1 } });
    const first = generate(worker, requestOf(), new RecordingSink());
    const second = new RecordingSink();
    generate(worker, requestOf(), second).closed();
    expect(second.refused?.code).toBe('overloaded');
    first.closed();
    const third = new RecordingSink();
    generate(worker, requestOf(), third);
    expect(third.refused).toBeNull();
  });

  test('whose time is over breaks streams off and refuses what has not begun', () => {
    const worker = workerOf();
    const begun = new RecordingSink();
    generate(worker, requestOf(), begun);
    worker.engine.last.start().say('a');
    worker.time.turn();
    const waiting = new RecordingSink();
    generate(worker, requestOf(), waiting);
    worker.admission.cutAll();
    expect(begun.wasCut).toBe(true);
    expect(begun.ended).toBe(false);
    expect(waiting.refused?.code).toBe('worker_draining');
  });

  test('takes an engine that answers within submit', () => {
    const worker = workerOf();
    worker.engine.onSubmit = (running) => running.start().say('a').sink.end('stop');
    const sink = new RecordingSink();
    generate(worker, requestOf(), sink);
    expect(sink.ended).toBe(true);
    expect(worker.time.waiting).toBe(0);
    expect(worker.reports.at(-1)).toMatchObject({ phase: 'end', finishReason: 'stop' });
  });
});

describe('a response that the platform keeps', () => {
  const output = {
    dialect: Dialect.OPENAI_RESPONSES,
    stream: true,
    responseId: 'resp_1',
    created: 5n,
    envelope: '{"store":true}',
    keep: true,
  };

  test.each([true, false])('is stored before its end is sent (stream: %s)', async (stream) => {
    const { sink, engine, worker } = call(requestOf({ output: { ...output, stream } }));
    const stored = Promise.withResolvers<void>();
    worker.storing = stored.promise;
    engine.last.start().say('hi');
    engine.last.sink.end('length');
    expect(worker.stored).toMatchObject([{ responseId: 'resp_1', state: 'incomplete' }]);
    expect(sink.ended).toBe(false);
    stored.resolve();
    await stored.promise;
    expect(sink.ended).toBe(true);
    expect(sink.text).toContain(worker.stored[0]!.document);
  });

  test('is stored as far as it came when its reader leaves, and the reader is not written to', async () => {
    const { sink, observer, engine, worker, time } = call(requestOf({ output }));
    engine.last.start().say('hi');
    time.turn();
    const writes = sink.writes.length;
    observer.closed();
    expect(worker.stored).toMatchObject([{ state: 'cancelled' }]);
    expect(worker.stored[0]!.document).toContain('"text":"hi"');
    await worker.storing;
    expect(sink.writes).toHaveLength(writes);
  });

  test('whose reader leaves while it is stored is over', async () => {
    const { sink, observer, engine, worker } = call(requestOf({ output }));
    engine.last.start().say('hi').sink.end('stop');
    observer.closed();
    await worker.storing;
    expect(worker.stored).toHaveLength(1);
    expect(sink.ended).toBe(false);
  });

  test('is not stored when another worker goes on with it', () => {
    const { engine, worker, time } = call(requestOf({ output }));
    engine.last.start().say('hi');
    time.turn();
    worker.admission.cutAll();
    expect(worker.stored).toEqual([]);
  });

  test('that fails under way is stored as failed', () => {
    const { engine, worker, time } = call(requestOf({ output }));
    engine.last.start().say('hi');
    time.turn();
    engine.last.sink.end('error', new Error('broken weights'));
    expect(worker.stored).toMatchObject([{ state: 'failed' }]);
    expect(JSON.parse(worker.stored[0]!.document).error.message).toBe('broken weights');
  });
});
