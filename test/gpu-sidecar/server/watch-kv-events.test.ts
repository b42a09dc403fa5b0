/** Watching a worker's blocks from outside. */

import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { StorageTier } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { WatchKvEventsRequestSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/kv_events_pb.js';
import { type KvIndexAnswer, KvIndexAnswerSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/kv_pb.js';
import { Faces } from './faces.ts';

const hashes = (...values: bigint[]) => new Uint8Array(BigUint64Array.from(values).buffer);
const SCHEMAS = { input: WatchKvEventsRequestSchema, output: KvIndexAnswerSchema };

const store = (faces: Faces, hash: bigint, tier = StorageTier.DEVICE) =>
  faces.worker.events.stored(
    { parentHash: null, blockHashes: hashes(hash), tokensHashes: hashes(hash) },
    tier,
  );

function watch(faces: Faces, request: { startEventId?: bigint; dpRank?: number } = {}) {
  const stream = faces.grpcServerStream(
    '/stator.v1.KvEvents/Watch',
    SCHEMAS,
    create(WatchKvEventsRequestSchema, request),
  );
  return stream as AsyncIterable<KvIndexAnswer> & { cancel(): void };
}

/** Ids and tiers of the events of an answer, or what else it is. */
function told({ answer }: KvIndexAnswer): unknown {
  if (answer.case !== 'events') return answer.case;
  return answer.value.events.map(({ eventId, storageTier }) => [Number(eventId), storageTier]);
}

test('a watcher gets the index, and then each event as it happens, with its tier', async () => {
  await using faces = await Faces.open();
  store(faces, 1n);
  const stream = watch(faces);
  const seen: unknown[] = [];
  for await (const answer of stream) {
    seen.push(told(answer));
    if (seen.length === 1) store(faces, 1n, StorageTier.DISK);
    if (seen.length === 2) faces.worker.events.removed(hashes(1n));
    if (seen.length === 3) break;
  }
  stream.cancel();
  expect(seen).toEqual(['treeDump', [[1, StorageTier.DISK]], [[2, StorageTier.DEVICE]]]);
});

test('a watcher who knows the beginning goes on from there, and gets a dump when the ring has moved on', async () => {
  await using faces = await Faces.open();
  for (let i = 1n; i <= 5n; i++) store(faces, i);
  const stream = watch(faces, { startEventId: 3n });
  const seen: unknown[] = [];
  for await (const answer of stream) {
    seen.push(told(answer));
    // The ring holds eight.
    if (seen.length === 1) for (let i = 10n; i <= 30n; i++) store(faces, i);
    if (seen.at(-1) === 'treeDump' && answer.answer.case === 'treeDump' && answer.answer.value.last) break;
  }
  stream.cancel();
  expect(seen[0]).toEqual([
    [3, 0],
    [4, 0],
  ]);
  expect(new Set(seen.slice(1))).toEqual(new Set(['treeDump']));
});

test('a watcher of an unknown rank is refused', async () => {
  await using faces = await Faces.open();
  const reading = (async () => {
    for await (const _ of watch(faces, { dpRank: 3 }));
  })();
  await expect(reading).rejects.toMatchObject({ code: 5 });
});
