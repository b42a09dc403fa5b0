/** Are exactly the right workers there, whoever comes, breaks, drains, falls silent or leaves? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseRegistration } from '../../../durable/router/registration.ts';
import { Workers } from '../../../durable/router/workers.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Harness, type TestSocket, testPolicy } from './core-harness.ts';
import { batchFrame, dumpFrame, registerFrame, registerMessage, workerFrame } from './fleet-worker.ts';
import { naiveIndexes } from './naive-indexes.ts';

const registration = (overrides: Parameters<typeof registerMessage>[0] = {}) =>
  parseRegistration(registerMessage(overrides));

test('slots are given again, lowest first, and never twice at a time', () => {
  const workers = new Workers(naiveIndexes, testPolicy());
  const add = (instanceId: string) => workers.add(registration({ instanceId }), 0);
  const [a, b, c] = [add('a'), add('b'), add('c')];
  expect([a, b, c].map(({ ranks }) => ranks[0]!.slot)).toEqual([0, 1, 2]);
  workers.remove(b);
  expect(add('d').ranks[0]!.slot).toBe(1);
  expect(add('e').ranks[0]!.slot).toBe(3);
});

test('the limits of workers and of ranks are refusals', () => {
  const workers = new Workers(naiveIndexes, testPolicy());
  const runtime = { engine: 'mock', dataParallelSize: LIMITS.dpRanks };
  const most = LIMITS.slotsPerModel / LIMITS.dpRanks;
  for (let i = 0; i < most; i++) {
    workers.add(registration({ instanceId: i.toString(16), runtime }), 0);
  }
  expect(() => workers.admit(registration({ instanceId: 'ffff' }))).toThrow('ranks');
  const others = new Workers(naiveIndexes, testPolicy());
  for (let i = 0; i < LIMITS.workers; i++) others.add(registration({ instanceId: i.toString(16) }), 0);
  expect(() => others.admit(registration({ instanceId: 'ffff' }))).toThrow('workers');
});

test('epochs of instances that left are remembered up to a bound', () => {
  const workers = new Workers(naiveIndexes, testPolicy());
  for (let i = 0; i <= LIMITS.departedInstances; i++) {
    workers.remove(workers.add(registration({ instanceId: i.toString(16), epoch: 5n }), 0));
  }
  const last = LIMITS.departedInstances.toString(16);
  expect(() => workers.admit(registration({ instanceId: last, epoch: 4n }))).toThrow('epoch');
  expect(() => workers.admit(registration({ instanceId: '0', epoch: 4n }))).not.toThrow();
});

/** What may happen to three instances, each with at most a few epochs and any number of sockets. */
type Step =
  | { do: 'register'; instance: number; epoch: number }
  | { do: 'drain' | 'close' | 'break' | 'beat'; socket: number }
  | { do: 'route' }
  | { do: 'wait'; ms: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('register'), instance: fc.nat(2), epoch: fc.nat(3) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('drain', 'close', 'break', 'beat'), socket: fc.nat(9) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('route') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), ms: fc.nat(6_000) }) },
) as fc.Arbitrary<Step>;

/** The same, as a table: what should be there. */
interface Expected {
  epoch: number;
  draining: boolean;
  /** Null: the socket broke. */
  socket: TestSocket | null;
  heardMs: number;
}

test('whoever comes, breaks, drains, falls silent or leaves: exactly the right workers are there', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const harness = new Harness();
      const sockets: TestSocket[] = [];
      const present = new Map<string, Expected>();
      const highest = new Map<string, number>();
      for (const current of steps) {
        const nowMs = harness.clock.nowMs();
        if (current.do === 'register') {
          const instanceId = `a${current.instance}`;
          const { epoch } = current;
          const socket = harness.connect();
          sockets.push(socket);
          socket.send(registerFrame({ instanceId, epoch: BigInt(epoch) }));
          const refused = epoch < (highest.get(instanceId) ?? 0);
          expect(socket.rejection).toBe(refused ? 'stale_epoch' : undefined);
          if (refused) continue;
          const known = present.get(instanceId);
          const same = known?.epoch === epoch;
          if (known?.socket) expect(known.socket.closed).not.toBeNull();
          highest.set(instanceId, epoch);
          present.set(instanceId, { epoch, draining: same && known.draining, socket, heardMs: nowMs });
          if (!same) socket.send(dumpFrame([[1, 2]], 0));
        } else if (current.do === 'route') {
          const ready = [...present].filter(([, { draining }]) => !draining);
          const connected = ready.filter(([, { socket }]) => socket);
          const answer = harness.route({ blocks: [1, 2] });
          const allowed = (connected.length > 0 ? connected : ready).map(([instanceId]) => instanceId);
          if (allowed.length === 0) expect(answer.kind).toBe('refusal');
          else expect(allowed).toContain(answer.kind === 'decision' && answer.worker);
        } else if (current.do === 'wait') {
          harness.clock.advance(current.ms);
          harness.core.sweep(harness.clock.nowMs());
          for (const [instanceId, { heardMs }] of present) {
            if (harness.clock.nowMs() - heardMs > 10_000) present.delete(instanceId);
          }
        } else {
          const socket = sockets[current.socket % Math.max(1, sockets.length)];
          const entry = [...present].find(([, { socket: theirs }]) => theirs === socket);
          if (current.do === 'beat') socket?.send(batchFrame({}));
          if (current.do === 'drain') socket?.send(workerFrame({ case: 'draining', value: {} }));
          if (current.do === 'close') socket?.hangUp(1000);
          if (current.do === 'break') socket?.hangUp(1006);
          if (!entry) continue;
          const [instanceId, expected] = entry;
          if (current.do === 'close') present.delete(instanceId);
          else if (current.do === 'break') expected.socket = null;
          else expected.heardMs = nowMs;
          if (current.do === 'drain') expected.draining = true;
        }
        const { workers } = harness.core.status();
        const seen = workers.map(({ instanceId, epoch, phase }) => `${instanceId} ${epoch} ${phase}`);
        const phaseOf = ({ draining, socket }: Expected) =>
          draining ? 'draining' : socket ? 'serving' : 'lost';
        const right = [...present].map(([id, entry]) => `${id} ${entry.epoch} ${phaseOf(entry)}`);
        expect(seen.sort()).toEqual(right.sort());
        const published = harness.core.models('default').flatMap(({ instances }) => instances);
        const reachable = [...present].filter(([, { draining }]) => !draining);
        expect(published.sort()).toEqual(reachable.map(([instanceId]) => instanceId).sort());
      }
      for (const socket of sockets) socket.hangUp();
      harness.clock.advance(10_001);
      harness.core.sweep(harness.clock.nowMs());
      expect(harness.core.status()).toMatchObject({ inFlight: 0, indexBlocks: 0, workers: [] });
    }),
    { numRuns: 300 },
  );
});
