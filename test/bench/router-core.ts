/**
 * What the Router object's own work costs, without workerd around it: µs per `route()` and per fleet batch, wasm included.
 *
 *   node test/bench/router-core.ts
 *
 * 8 workers, each knowing 12,500 blocks; fresh prompts, every request routed, accepted, given a first token, ended.
 */

import { FleetConnection } from '../../durable/router/fleet-connection.ts';
import { policyOf } from '../../durable/router/policy.ts';
import { RouterCore } from '../../durable/router/router.ts';
import { wasmIndexes } from '../../durable/router/wasm-indexes.ts';
import { wallClock } from '../../durable/runtime/clock.ts';
import { resolveSettings } from '../../durable/runtime/config.ts';
import { Logger } from '../../durable/runtime/log.ts';
import { Phase } from '../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { batchFrame, registerFrame, workerFrame } from '../durable/router/fleet-worker.ts';

const WORKERS = 8;
const BLOCK = 16;
const PATHS = 50;
const PATH_BLOCKS = 250;

const core = new RouterCore({
  policy: policyOf(resolveSettings([]), Math.random),
  clock: wallClock,
  indexes: wasmIndexes,
  log: new Logger({ component: 'bench', level: 'error' }),
  leaseMs: 10_000,
  metricsPrefix: 'stator',
  changed: () => {},
});

const randomHashes = (blocks: number) => crypto.getRandomValues(new Uint8Array(blocks * 8));
const card = { name: 'tiny', contextLengthTokens: 131_072, kvCacheBlockSize: BLOCK };
const known: Uint8Array[] = [];

const connections = Array.from({ length: WORKERS }, (_, i) => {
  const connection = new FleetConnection(core, { send: () => {}, close: () => {} }, 0);
  connection.receive(registerFrame({ instanceId: `${i + 1}`.padStart(16, '0'), card }), wallClock.nowMs());
  const stored = Array.from({ length: PATHS }, () => {
    const hashes = randomHashes(PATH_BLOCKS);
    known.push(hashes);
    return { blockHashes: hashes, tokensHashes: hashes };
  });
  connection.receive(
    workerFrame({ case: 'dump', value: { first: true, last: true, stored } }),
    wallClock.nowMs(),
  );
  return connection;
});
console.log(`index: ${core.status().indexBlocks} blocks, ${core.status().indexBytes} bytes`);

function measured(name: string, rounds: number, turn: (i: number) => void): void {
  for (let i = 0; i < rounds / 4; i++) turn(i);
  const start = process.cpuUsage();
  for (let i = 0; i < rounds; i++) turn(i);
  const { user, system } = process.cpuUsage(start);
  console.log(`${name}: ${((user + system) / rounds).toFixed(2)} µs`);
}

function routing(name: string, prompts: Uint8Array[], promptTokens: number): void {
  const held: number[] = [];
  measured(`route, ${name} (route + release)`, 40_000, (i) => {
    const blockHashes = prompts[i % prompts.length]!;
    const answer = core.route({ requestId: 'req_1', model: 'tiny', blockHashes, promptTokens });
    if (answer.kind !== 'decision') throw new Error(JSON.stringify(answer));
    held.push(answer.reservation);
    // 64 requests are in flight at any time.
    if (held.length > 64) core.release(held.shift()!);
  });
  for (const reservation of held) core.release(reservation);
}

const fresh = (blocks: number) => Array.from({ length: 256 }, () => randomHashes(blocks));
routing('30 tokens, fresh', fresh(1), 30);
routing('1k tokens, fresh', fresh(62), 1_000);
routing('8k tokens, fresh', fresh(500), 8_010);
const extended = Array.from({ length: 256 }, (_, i) => {
  const prompt = randomHashes(500);
  prompt.set(known[i % known.length]!);
  return prompt;
});
routing('8k tokens, 250 blocks known', extended, 8_010);

/** One batch of a busy worker: `count` requests accepted, first token, ended; one stored event each. */
function batch(count: number, storedBlocks: number, cursor: { next: number }): Uint8Array {
  const progress = [];
  for (let i = 0; i < count; i++) {
    const answer = core.route({
      requestId: 'req_1',
      model: 'tiny',
      blockHashes: new Uint8Array(0),
      promptTokens: 12,
      pinned: '1'.padStart(16, '0'),
    });
    if (answer.kind !== 'decision') throw new Error(JSON.stringify(answer));
    const { reservation } = answer;
    progress.push({ reservation, phase: Phase.ACCEPTED });
    progress.push({ reservation, phase: Phase.FIRST_TOKEN, outputTokens: 1, cachedTokens: 16, ttftMs: 3.5 });
    progress.push({ reservation, phase: Phase.END, outputTokens: 1, totalMs: 4, finishReason: 'length' });
  }
  const kvEvents = Array.from({ length: storedBlocks === 0 ? 0 : count }, () => {
    const blockHashes = randomHashes(storedBlocks);
    const value = { blockHashes, tokensHashes: blockHashes };
    return { eventId: BigInt(cursor.next++), data: { case: 'stored' as const, value } };
  });
  return batchFrame({ progress, kvEvents, load: { running: 3, kvUsedBlocks: 100 } });
}

const cursor = { next: 0 };
for (const [count, storedBlocks] of [
  [1, 0],
  [18, 0],
  [18, 1],
  [18, 62],
] as const) {
  const frames = Array.from({ length: 1_500 }, () => batch(count, storedBlocks, cursor));
  let at = 0;
  measured(`batch of ${count} requests, ${storedBlocks} blocks stored by each`, 1_200, () => {
    connections[0]!.receive(frames[at++]!, wallClock.nowMs());
  });
  if (core.status().inFlight !== 0) throw new Error('something is still in flight');
}
