/** The native gRPC face over real HTTP/2: statuses, KvIndex, broken streams. */

import { once } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { KvIndexAnswerSchema, KvIndexQuerySchema } from '../../../gpu-sidecar/proto/gen/stator/v1/kv_pb.js';
import {
  HealthRequestSchema,
  HealthResponseSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { soon } from '../../harness/soon.ts';
import { Faces } from './faces.ts';
import { requestOf } from './worker-of.ts';

const hashes = (...values: bigint[]) => new Uint8Array(BigUint64Array.from(values).buffer);
const QUERY = { input: KvIndexQuerySchema, output: KvIndexAnswerSchema };

/** The answers to one query, each as its kind and value. */
async function queried(faces: Faces, query: Parameters<typeof create<typeof KvIndexQuerySchema>>[1]) {
  const stream = faces.grpcServerStream('/stator.v1.KvIndex/Query', QUERY, create(KvIndexQuerySchema, query));
  return (await collect(stream)).map(({ answer }) => answer);
}

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

test('a wrong fleet token is UNAUTHENTICATED for unary calls and streams', async () => {
  await using faces = await Faces.open();
  const health = { input: HealthRequestSchema, output: HealthResponseSchema };
  const unary = faces.grpcUnary('/stator.v1.Worker/Health', health, create(HealthRequestSchema), 'wrong');
  await expect(unary).rejects.toMatchObject({ code: 16 });
  await expect(collect(faces.grpcStream(requestOf(), 'wrong'))).rejects.toMatchObject({ code: 16 });
  expect(faces.worker.engine.requests).toEqual([]);
});

test('a method that does not exist is UNIMPLEMENTED', async () => {
  await using faces = await Faces.open();
  const call = faces.grpcUnary(
    '/stator.v1.Worker/Nothing',
    { input: HealthRequestSchema, output: HealthResponseSchema },
    create(HealthRequestSchema),
  );
  await expect(call).rejects.toMatchObject({ code: 12 });
});

/** A worker that has told ten events; its ring holds the last eight. */
async function withEvents(): Promise<Faces> {
  const faces = await Faces.open();
  for (let i = 1n; i <= 10n; i++) {
    faces.worker.events.stored({ parentHash: null, blockHashes: hashes(i), tokensHashes: hashes(100n + i) });
  }
  return faces;
}

test('KvIndex gives the events from an id on, or between two', async () => {
  await using faces = await withEvents();
  const ids = async (query: Parameters<typeof queried>[1]) => {
    const [answer, ...more] = await queried(faces, query);
    expect(more).toEqual([]);
    if (answer?.case !== 'events') throw new Error(`${answer?.case}`);
    expect(answer.value.lastEventId).toBe(9n);
    return answer.value.events.map(({ eventId }) => eventId);
  };
  expect(await ids({ startEventId: 8n })).toEqual([8n, 9n]);
  expect(await ids({ startEventId: 4n, endEventId: 5n })).toEqual([4n, 5n]);
  faces.worker.events.cleared();
  const [answer] = await queried(faces, { startEventId: 1n });
  expect(answer).toMatchObject({ case: 'events', value: { events: [{ eventId: 10n }], lastEventId: 10n } });
});

test('KvIndex gives the whole index when the start is absent or gone, or nothing ever happened', async () => {
  await using faces = await withEvents();
  for (const query of [{}, { startEventId: 1n }]) {
    const dumps = (await queried(faces, query)).map((answer) => {
      if (answer.case !== 'treeDump') throw new Error(`${answer.case}`);
      return answer.value;
    });
    expect(dumps[0]!.first).toBe(true);
    expect(dumps.at(-1)).toMatchObject({ last: true, lastEventId: 9n });
    expect(dumps.flatMap(({ stored }) => stored)).toHaveLength(10);
  }
  await using fresh = await Faces.open();
  const [empty] = await queried(fresh, { startEventId: 5n });
  expect(empty).toMatchObject({ case: 'treeDump', value: { first: true, last: true, stored: [] } });
});

test('KvIndex says when the start is too new, the range is none, and the dump fails', async () => {
  await using faces = await withEvents();
  expect(await queried(faces, { startEventId: 10n })).toMatchObject([
    { case: 'tooNew', value: { lastEventId: 9n } },
  ]);
  expect(await queried(faces, { startEventId: 7n, endEventId: 6n })).toMatchObject([
    { case: 'invalidRange', value: { startEventId: 7n, endEventId: 6n } },
  ]);
  faces.worker.events.dump = () => {
    throw new Error('out of memory');
  };
  expect(await queried(faces, {})).toMatchObject([
    { case: 'treeDumpFailed', value: { message: 'Error: out of memory' } },
  ]);
});

test('a rank that the worker does not have is NOT_FOUND', async () => {
  await using faces = await Faces.open();
  await expect(queried(faces, { dpRank: 1 })).rejects.toMatchObject({ code: 5 });
});

test('a stream that is cut off is UNAVAILABLE', async () => {
  await using faces = await Faces.open();
  const stream = faces.grpcStream(requestOf());
  await soon(() => expect(faces.worker.engine.requests).toHaveLength(1));
  faces.worker.engine.last.start().say('a');
  await once(stream, 'metadata');
  faces.worker.admission.cutAll();
  await expect(collect(stream)).rejects.toMatchObject({ code: 14 });
});
