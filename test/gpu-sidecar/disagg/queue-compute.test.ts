/** A job of the queue on a worker with a scripted engine: what the queue hears, and that the engine stops when it must. */
import { expect, test } from 'vitest';
import type { StatorError } from '../../../durable/runtime/errors.ts';
import { computeOn } from '../../../gpu-sidecar/disagg/queue-compute.ts';
import { workerOf } from '../server/worker-of.ts';

const JOB = {
  requestId: 'req_1~1',
  decodeInstanceId: '00000000000000d1',
  decodeGrpcAddress: 'd:1',
  priority: 3,
  delivery: 1,
  tokenIds: Uint32Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  blockHashes: new Uint8Array(),
  hashSeed: 0n,
};

function begun(worker = workerOf(), job = JOB) {
  const end = new AbortController();
  const said: unknown[] = [];
  const done = computeOn(worker)(job, { signal: end.signal, begun: () => said.push('begun') }).then(
    ({ cachedTokens }) => said.push(cachedTokens),
    (error: StatorError) => said.push(error.code),
  );
  return { worker, said, end, done };
}

test('the prompt is computed, and what was cached of it is said', async () => {
  const { worker, said, done } = begun();
  expect(said).toEqual(['begun']);
  expect(worker.engine.last.request).toMatchObject({ maxTokens: 1, priority: 3 });
  expect([...worker.engine.last.request.tokenIds]).toEqual([...JOB.tokenIds]);
  worker.engine.last.start(4).say('x');
  await done;
  expect(said).toEqual(['begun', 4]);
});

test('a job that is taken away stops in the engine', async () => {
  const { worker, said, end, done } = begun();
  end.abort(Object.assign(new Error('gone'), { code: 'cancelled' }));
  await done;
  expect(said).toEqual(['begun', 'cancelled']);
  expect(worker.engine.last.aborted).toBe(true);
  expect(worker.admission.open).toBe(0);
});

test('what the engine refuses fails', async () => {
  const { said, done } = begun(workerOf(), { ...JOB, tokenIds: new Uint32Array() });
  await done;
  expect(said).toEqual(['invalid_request']);
});
