/** Generate where another worker computes the prompt: the same answer whatever becomes of that, and honest usage. */

import { describe, expect, test } from 'vitest';
import { StatorError } from '../../../../durable/runtime/errors.ts';
import type { GenerateRequest } from '../../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { generate } from '../../../../gpu-sidecar/server/methods/generate.ts';
import { ManualTime } from '../../../harness/manual-time.ts';
import { PEER, ScriptedPeer, settled } from '../../disagg/scripted-peer.ts';
import { RecordingSink } from '../recording-sink.ts';
import { documentOutput, packed, requestOf, workerOf } from '../worker-of.ts';

const PROMPT = packed([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
const prefill = { instanceId: PEER.instanceId, grpcAddress: PEER.address, reservation: 11, dpRank: 1 };

function call(change: Parameters<typeof requestOf>[0] = {}) {
  const peer = new ScriptedPeer(new ManualTime(), 1_000_000);
  const worker = workerOf({ remotePrefill: peer.remotePrefill });
  const sink = new RecordingSink();
  const request = requestOf({ tokenIds: PROMPT, prefill, ...change } as never) as GenerateRequest;
  const observer = generate(worker, request, sink);
  return { peer, worker, sink, observer, engine: worker.engine, time: worker.time };
}

async function computed(peer: ScriptedPeer, cachedTokens: number): Promise<void> {
  peer.prompt.accept();
  await settled();
  peer.pulling.bring(2);
  peer.prompt.computed(cachedTokens);
  await settled();
}

const document = { output: { ...documentOutput, nvext: { workerId: '00000000000000aa' } } };

test('the engine hears of the request when the blocks are here', async () => {
  const { peer, engine, sink, time, worker } = call();
  expect(worker.reports).toMatchObject([{ phase: 'accepted', reservation: 9 }]);
  expect(engine.requests).toEqual([]);
  await computed(peer, 4);
  expect(peer.memory.held).toBe(2);
  // It found both blocks, of which one had been cached before.
  engine.last.start(8);
  expect(peer.memory.held).toBe(0);
  engine.last.say('hi').sink.end('stop');
  time.turn();
  expect(sink.sentHead).toMatchObject({ prefilledBy: PEER.instanceId, cachedTokens: 4 });
  expect(sink.text).toContain('"content":"h"');
  expect(worker.reports.at(-1)).toMatchObject({ phase: 'end', cachedTokens: 4, outputTokens: 2 });
});

test('the answer says who computed the prompt and what had been cached', async () => {
  const { peer, engine, sink } = call(document);
  await computed(peer, 4);
  engine.last.start(8).say('hi').sink.end('stop');
  const { usage, nvext } = JSON.parse(sink.text);
  expect(usage.prompt_tokens_details).toEqual({ cached_tokens: 4 });
  expect(nvext.worker_id).toEqual({
    prefill_worker_id: PEER.instanceId,
    prefill_dp_rank: 1,
    decode_worker_id: '00000000000000aa',
    decode_dp_rank: 0,
  });
});

describe('after a failure the answer is the same, and', () => {
  const lost = new StatorError('worker_unavailable', 'lost');

  test.each([
    ['nothing that came counts as cached', 0, 0],
    ['neither does what came before it', 1, 0],
  ])('%s', async (_, blocks, cached) => {
    const { peer, engine, sink } = call(document);
    peer.prompt.accept();
    await settled();
    peer.pulling.bring(blocks);
    peer.prompt.fail(lost);
    await settled();
    engine.last
      .start(4 * blocks)
      .say('hi')
      .sink.end('stop');
    const { usage, nvext, choices } = JSON.parse(sink.text);
    expect(choices[0].message.content).toBe('hi');
    expect(usage.prompt_tokens_details).toEqual({ cached_tokens: cached });
    expect(nvext.worker_id.prefill_worker_id).toBe('00000000000000aa');
    expect(sink.sentHead).toMatchObject({ prefillFailed: PEER.instanceId });
    expect(sink.sentHead).not.toHaveProperty('prefilledBy');
    expect(peer.memory.held).toBe(0);
  });

  test('a refusal of the own engine is told as ever', async () => {
    const { peer, worker, sink } = call();
    worker.engine.refusal = new StatorError('overloaded', 'full');
    await computed(peer, 0);
    expect(sink.refused?.code).toBe('overloaded');
    expect(peer.memory.held).toBe(0);
    expect(worker.reports.map(({ phase }) => phase)).toEqual(['accepted', 'end']);
  });
});

describe('while another worker computes', () => {
  test('the client has its head and its comments', () => {
    const { sink, time } = call();
    time.advance(1_500);
    expect(sink.text).toBe(': keep-alive\n\n'.repeat(2));
    expect(time.waiting).toBe(1);
  });

  test.each(['asked', 'accepted', 'computed'])('a client that leaves ends everything (%s)', async (phase) => {
    const { peer, worker, observer, engine, time } = call();
    if (phase !== 'asked') {
      peer.prompt.accept();
      await settled();
    }
    if (phase === 'computed') await computed(peer, 0);
    observer.closed();
    await settled();
    if (phase === 'computed') expect(engine.last.aborted).toBe(true);
    else expect(peer.prompt.signal.aborted).toBe(true);
    expect(engine.requests).toHaveLength(phase === 'computed' ? 1 : 0);
    expect(peer.memory.held).toBe(0);
    expect(worker.admission.open).toBe(0);
    expect(worker.reports.at(-1)).toMatchObject({ phase: 'end', finishReason: 'cancelled' });
    expect(time.waiting).toBe(0);
  });

  test('a drain ends it, and the platform goes elsewhere', async () => {
    const { peer, worker, sink, engine } = call();
    worker.admission.cutAll();
    await settled();
    expect(sink.refused?.code).toBe('worker_draining');
    expect(peer.prompt.signal.aborted).toBe(true);
    expect(engine.requests).toEqual([]);
  });
});

test('an answer that is continued has its prompt computed elsewhere, too', async () => {
  const resume = { tokenIds: packed([104, 105]), events: 0, partialEvent: new Uint8Array() };
  const { peer, engine } = call({ tokenIds: packed([1, 2, 3, 4, 5, 6, 7, 8]), resume });
  // All of its blocks: the last token's logits are not wanted any more.
  expect(peer.prompt.job.tokenIds).toHaveLength(8);
  await computed(peer, 8);
  expect(engine.last.request.tokenIds).toHaveLength(10);
});

test('several choices find it once', async () => {
  const { peer, engine, sink, time } = call({ sampling: { n: 2 } });
  await computed(peer, 0);
  expect(engine.requests).toHaveLength(1);
  engine.last.start(8);
  expect(engine.requests).toHaveLength(2);
  for (const request of engine.requests) request.say('a').sink.end('stop');
  time.turn();
  expect(sink.ended).toBe(true);
  expect(sink.sentHead).toMatchObject({ cachedTokens: 0 });
});
