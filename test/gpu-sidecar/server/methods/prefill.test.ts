/** Prefill on the worker that computes: what its caller and the router hear, and that it ends with its caller. */

import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { StatorError } from '../../../../durable/runtime/errors.ts';
import { PrefillPhase, PrefillRequestSchema } from '../../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { prefill } from '../../../../gpu-sidecar/server/methods/prefill.ts';
import { packed, workerOf } from '../worker-of.ts';

function begun(worker = workerOf(), change: { tokenIds?: Uint8Array } = {}) {
  const said: unknown[] = [];
  const request = create(PrefillRequestSchema, {
    requestId: 'req_1',
    tokenIds: packed([1, 2, 3, 4, 5, 6, 7, 8]),
    reservation: 9,
    routerBoot: 4,
    priority: 3,
    ...change,
  });
  const call = prefill(worker, request, {
    progress: (phase, cachedTokens) => said.push([PrefillPhase[phase], cachedTokens]),
    end: () => said.push('end'),
    refuse: (error: StatorError) => said.push(error.code),
  });
  return { worker, said, call };
}

const phases = (worker: ReturnType<typeof workerOf>) =>
  worker.reports.map(({ phase, finishReason }) => (finishReason === '' ? phase : `${phase} ${finishReason}`));

test('one token is computed and thrown away; the router hears of a request of its own', () => {
  const { worker, said, call } = begun();
  expect(worker.engine.last.request).toMatchObject({ maxTokens: 1, priority: 3, ignoreEos: true });
  expect(worker.engine.last.request.tokenIds).toHaveLength(8);
  worker.engine.last.start(4).say('x');
  worker.engine.last.sink.end('length');
  call.closed();
  expect(said).toEqual([['ACCEPTED', 0], ['COMPUTED', 4], 'end']);
  expect(phases(worker)).toEqual(['accepted', 'first-token', 'end stop']);
  expect(worker.reports.at(-1)).toMatchObject({ reservation: 9, cachedTokens: 4, outputTokens: 0 });
  expect(worker.admission.open).toBe(0);
});

test('a prompt after which nothing comes is computed all the same', () => {
  const { worker, said } = begun();
  worker.engine.last.start(0).sink.end('stop');
  expect(said).toEqual([['ACCEPTED', 0], ['COMPUTED', 0], 'end']);
});

test('an engine that answers within the call', () => {
  const worker = workerOf();
  worker.engine.onSubmit = (request) => {
    request.start(0).say('x');
    request.sink.end('length');
  };
  expect(begun(worker).said).toEqual([['COMPUTED', 0], 'end']);
  expect(phases(worker)).toEqual(['accepted', 'first-token', 'end stop']);
  expect(worker.admission.open).toBe(0);
});

test('a caller that leaves stops the engine', () => {
  const { worker, said, call } = begun();
  call.closed();
  call.closed();
  expect(worker.engine.last.aborted).toBe(true);
  worker.engine.last.say('late');
  expect(said).toEqual([['ACCEPTED', 0]]);
  expect(phases(worker)).toEqual(['accepted', 'end cancelled']);
  expect(worker.admission.open).toBe(0);
});

describe('is refused', () => {
  test('by a worker that drains, before or meanwhile', () => {
    const worker = workerOf();
    const { said } = begun(worker);
    worker.admission.cutAll();
    expect(said).toEqual([['ACCEPTED', 0], 'worker_draining']);
    expect(worker.engine.last.aborted).toBe(true);
    worker.lifecycle.advance('draining');
    expect(begun(worker).said).toEqual(['worker_draining']);
    expect(worker.admission.open).toBe(0);
  });

  test('by a full worker and by an engine that will not or cannot', () => {
    expect(begun(workerOf({ limits: { concurrentRequests: 0 } })).said).toEqual(['overloaded']);
    const worker = workerOf();
    worker.engine.refusal = new Error('no');
    expect(begun(worker).said).toEqual(['internal']);
    worker.engine.refusal = null;
    const { said } = begun(worker);
    worker.engine.last.sink.end('error');
    expect(said).toEqual([['ACCEPTED', 0], 'engine_error']);
    expect(worker.admission.open).toBe(0);
  });

  test.each([
    ['without tokens', packed([])],
    ['with half a token', new Uint8Array(3)],
    ['with a token that is none', packed([999_999])],
  ])('%s', (_, tokenIds) => {
    expect(begun(workerOf(), { tokenIds }).said).toEqual(['invalid_request']);
  });

  test('longer than the context', () => {
    const tokenIds = packed(Array.from({ length: 64 }, () => 1));
    expect(begun(workerOf(), { tokenIds }).said).toEqual(['context_length_exceeded']);
  });
});
