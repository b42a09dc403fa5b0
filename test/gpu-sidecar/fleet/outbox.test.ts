/** What goes into which batch, and what a backlog costs. */

import { fromBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { PassSample } from '../../../durable/runtime/pass-sample.ts';
import type { EngineLoad } from '../../../gpu-sidecar/engines/engine.ts';
import { Outbox } from '../../../gpu-sidecar/fleet/outbox.ts';
import { ProgressBook } from '../../../gpu-sidecar/fleet/progress.ts';
import { WorkerEvents } from '../../../gpu-sidecar/fleet/worker-events.ts';
import {
  type Batch,
  Phase,
  StorageTier,
  WorkerFrameSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { requestProgress } from '../../harness/request-progress.ts';

const hashes = (...values: number[]) => new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer);

function make({ ring = 8, frameBytes = 1 << 20, elsewhere = false } = {}) {
  const events = new WorkerEvents({ ring, dumpBlocksPerFrame: 100, changed: () => {} });
  const progress = new ProgressBook(100, () => {});
  const load: EngineLoad = { running: 1, waiting: 0, kvUsedBlocks: 2 };
  const passes = new PassSample(LIMITS.passesPerReport);
  const outbox = new Outbox({ events, progress, load: () => load, passes, frameBytes, elsewhere });
  let stored = 0;
  const store = (blocks = 1) => {
    const path = Array.from({ length: blocks }, () => ++stored);
    events.stored({ parentHash: null, blockHashes: hashes(...path), tokensHashes: hashes(...path) });
  };
  const batches = (): Batch[] =>
    outbox.frames().map((frame) => {
      const decoded = fromBinary(WorkerFrameSchema, frame).frame;
      if (decoded.case !== 'batch') throw new Error('not a batch');
      return decoded.value;
    });
  return { events, progress, outbox, store, batches, load, passes };
}

const ids = (batches: Batch[]) =>
  batches.flatMap(({ kvEvents }) => kvEvents.map(({ eventId }) => Number(eventId)));

test('every event goes out once, in order', () => {
  const { batches, store, outbox } = make();
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  store();
  store();
  expect(ids(batches())).toEqual([0, 1]);
  expect(outbox.empty).toBe(true);
  store();
  expect(ids(batches())).toEqual([2]);
});

test('the latest phase of a request in a batch wins', () => {
  const { batches, progress, outbox } = make();
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  const request = requestProgress();
  progress.report(request);
  request.phase = 'first-token';
  request.ttftMs = 1.5;
  progress.report(request);
  request.phase = 'end';
  request.finishReason = 'length';
  progress.report(request);
  const [batch] = batches();
  expect(batch!.progress).toHaveLength(1);
  expect(batch!.progress[0]).toMatchObject({
    reservation: 1,
    phase: Phase.END,
    ttftMs: 1.5,
    finishReason: 'length',
  });
  expect(batches()).toEqual([]);
});

test('requests of another boot of the router are not its business', () => {
  const { progress, outbox } = make();
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  progress.report(requestProgress({ routerBoot: 6 }));
  expect(outbox.empty).toBe(true);
  progress.report(requestProgress());
  expect(outbox.empty).toBe(false);
  outbox.welcomed({ routerBoot: 8, wantsPasses: false });
  expect(outbox.empty).toBe(true);
});

test('a reconnect to the same boot keeps what was not told', () => {
  const { batches, progress, outbox } = make();
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  progress.report(requestProgress({ phase: 'end' }));
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  expect(batches()[0]!.progress).toHaveLength(1);
});

test('after a reconnect the last event is told again, so that a gap shows', () => {
  const { batches, store, outbox } = make();
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  for (let i = 0; i < 3; i++) store();
  batches();
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  expect(ids(batches())).toEqual([2]);
});

test('a resend goes back as far as the ring does', () => {
  const { batches, store, outbox } = make({ ring: 4 });
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  for (let i = 0; i < 6; i++) store();
  batches();
  expect(outbox.rewind(1)).toBe(false);
  expect(outbox.rewind(6)).toBe(true);
  expect(outbox.empty).toBe(true);
  expect(outbox.rewind(3)).toBe(true);
  expect(ids(batches())).toEqual([3, 4, 5]);
});

test('a backlog larger than the ring leaves a gap and costs no memory', () => {
  const { batches, store, outbox } = make({ ring: 4 });
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  for (let i = 0; i < 100; i++) store();
  expect(ids(batches())).toEqual([96, 97, 98, 99]);
});

test('events that do not fit into one frame go into several', () => {
  const { batches, store, outbox } = make({ frameBytes: 8_000 });
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  for (let i = 0; i < 6; i++) store(80);
  const frames = outbox.frames();
  expect(frames.length).toBeGreaterThan(2);
  for (const frame of frames) expect(frame.length).toBeLessThan(8_000);
  outbox.rewind(0);
  expect(ids(batches())).toEqual([0, 1, 2, 3, 4, 5]);
});

test('the load goes with a batch when it changed', () => {
  const { batches, store, outbox, load } = make();
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  store();
  expect(batches()[0]!.load).toMatchObject({ running: 1, kvUsedBlocks: 2 });
  store();
  expect(batches()[0]!.load).toBeUndefined();
  load.running = 2;
  expect(batches()).toMatchObject([{ load: { running: 2 }, kvEvents: [], progress: [] }]);
  expect(batches()).toEqual([]);
  const tier = {
    tier: 'object',
    capacityBlocks: 9,
    registeredBlocks: 4,
    inactiveBlocks: 4,
    evictions: 0,
  } as const;
  load.tiers = [{ ...tier, degraded: true }];
  const told = { storageTier: StorageTier.EXTERNAL, capacityBlocks: 9n, blocks: 4n, degraded: true };
  expect(batches()).toMatchObject([{ load: { tiers: [told] } }]);
  load.tiers = [{ ...tier, inactiveBlocks: 3, evictions: 1, degraded: true }];
  expect(batches()).toEqual([]);
  load.tiers = [{ ...tier, degraded: false }];
  expect(batches()).toMatchObject([{ load: { tiers: [{ ...told, degraded: false }] } }]);
});

const PASS = { prefillTokens: 0, decodeKvTokens: 100, queuedTokens: 3, wallMs: 2.5 };

test('passes go once, with a load that is told anyway, or when they fill a report', () => {
  const { batches, outbox, load, passes } = make();
  outbox.welcomed({ routerBoot: 7, wantsPasses: true });
  load.decodeKvTokens = 101;
  passes.add(PASS);
  expect(batches()).toMatchObject([{ load: { decodeKvTokens: 101, passes: [PASS] } }]);
  passes.add(PASS);
  expect(batches()).toEqual([]);
  load.running = 2;
  expect(batches()[0]!.load!.passes).toMatchObject([PASS]);
  for (let i = 0; i < LIMITS.passesPerReport; i++) {
    expect(batches()).toEqual([]);
    passes.add(PASS);
  }
  expect(batches()[0]!.load!.passes).toHaveLength(LIMITS.passesPerReport);
  expect(batches()).toEqual([]);
});

test('a router that asks for no passes gets none', () => {
  const { batches, outbox, passes } = make();
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  for (let i = 0; i < 100; i++) passes.add(PASS);
  expect(batches()).toMatchObject([{ load: { running: 1, passes: [] } }]);
  expect(batches()).toEqual([]);
});

test('passes go by the fleet socket, though an event plane carries the load', () => {
  const { batches, outbox, load, passes } = make({ elsewhere: true });
  outbox.welcomed({ routerBoot: 7, wantsPasses: true });
  expect(batches()).toHaveLength(1);
  load.running = 2;
  passes.add(PASS);
  expect(batches()).toEqual([]);
  outbox.anchor();
  expect(batches()).toMatchObject([{ load: { running: 2, passes: [PASS] } }]);
  for (let i = 0; i < LIMITS.passesPerReport; i++) passes.add(PASS);
  expect(batches()[0]!.load!.passes).toHaveLength(LIMITS.passesPerReport);
});

test('records that nobody takes are bounded', () => {
  const { progress, outbox } = make();
  outbox.welcomed({ routerBoot: 7, wantsPasses: false });
  for (let reservation = 1; reservation <= 500; reservation++)
    progress.report(requestProgress({ reservation }));
  expect(progress.size).toBe(100);
});

test('where an event plane carries events, only what was asked for and anchors go by the fleet socket', () => {
  const { batches, load, outbox, store } = make({ elsewhere: true });
  for (let event = 0; event < 4; event++) store();
  expect(batches()).toEqual([]);
  outbox.welcomed({ routerBoot: 1, wantsPasses: false });
  const [welcomed] = batches();
  expect(ids([welcomed!])).toEqual([3]);
  expect(welcomed!.load?.running).toBe(1);
  store();
  store();
  load.running = 2;
  expect(batches()).toEqual([]);
  outbox.rewind(2);
  expect(ids(batches())).toEqual([2, 3, 4, 5]);
  expect(outbox.empty).toBe(true);
  store();
  outbox.anchor();
  const [anchored] = batches();
  expect(ids([anchored!])).toEqual([6]);
  expect(anchored!.load?.running).toBe(2);
  expect(batches()).toEqual([]);
});
