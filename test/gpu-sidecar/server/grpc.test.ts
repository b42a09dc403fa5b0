/** The native gRPC face over real HTTP/2: statuses, KvIndex, broken streams. */

import { once } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { KvDumpSchema, KvEventSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import {
  DumpRequestSchema,
  EventsSinceRequestSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/kv_pb.js';
import {
  HealthRequestSchema,
  HealthResponseSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { soon } from '../../harness/soon.ts';
import { Faces } from './faces.ts';
import { requestOf } from './worker-of.ts';

const hashes = (...values: bigint[]) => new Uint8Array(BigUint64Array.from(values).buffer);
const EVENTS = { input: EventsSinceRequestSchema, output: KvEventSchema };
const DUMP = { input: DumpRequestSchema, output: KvDumpSchema };

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

test('KvIndex gives the events from an id on, OUT_OF_RANGE when they are gone, and the whole index', async () => {
  await using faces = await Faces.open();
  const { events } = faces.worker;
  for (let i = 1n; i <= 10n; i++) {
    events.stored({ parentHash: null, blockHashes: hashes(i), tokensHashes: hashes(100n + i) });
  }
  const since = (fromEventId: bigint) =>
    collect(
      faces.grpcServerStream(
        '/stator.v1.KvIndex/EventsSince',
        EVENTS,
        create(EventsSinceRequestSchema, { fromEventId }),
      ),
    );
  expect((await since(8n)).map(({ eventId }) => eventId)).toEqual([8n, 9n]);
  await expect(since(1n)).rejects.toMatchObject({ code: 11 });
  const dump = await collect(
    faces.grpcServerStream('/stator.v1.KvIndex/Dump', DUMP, create(DumpRequestSchema)),
  );
  expect(dump[0]!.first).toBe(true);
  expect(dump.at(-1)).toMatchObject({ last: true, lastEventId: 9n });
  expect(dump.flatMap(({ stored }) => stored)).toHaveLength(10);
});

test('a rank that the worker does not have is NOT_FOUND', async () => {
  await using faces = await Faces.open();
  const dump = faces.grpcServerStream(
    '/stator.v1.KvIndex/Dump',
    DUMP,
    create(DumpRequestSchema, { dpRank: 1 }),
  );
  await expect(collect(dump)).rejects.toMatchObject({ code: 5 });
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
