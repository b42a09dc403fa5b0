/**
 * Does the index equal the workers' truth, whatever the wire and both processes go through? The real Router object on virtual
 * time and a disk, the sidecar's real event log and outbox, and between them batches that are lost, doubled and late,
 * sockets that break, workers and routers that start again, snapshots that are taken and spoilt.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Directory } from '../../../durable/directory/directory-object.ts';
import { ObjectNamespace } from '../../../durable/polyfill/object-namespace.ts';
import type { PairedSocket } from '../../../durable/polyfill/socket-pair.ts';
import { VirtualHost } from '../../../durable/polyfill/virtual-host.ts';
import { Router } from '../../../durable/router/router-object.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { heartbeatFrame, Outbox } from '../../../gpu-sidecar/fleet/outbox.ts';
import { ProgressBook } from '../../../gpu-sidecar/fleet/progress.ts';
import { WorkerEvents } from '../../../gpu-sidecar/fleet/worker-events.ts';
import { parseRouterFrame, registerFrame, workerFrame } from './fleet-worker.ts';
import { hashes } from './naive-indexes.ts';

const RING = 8;
const WIRES = ['ok', 'ok', 'ok', 'drop', 'double', 'late'] as const;
type Wire = (typeof WIRES)[number];
const NO_LOAD = { running: 0, waiting: 0, kvUsedBlocks: 0 };

/** A worker's process: what its engine holds, its event log, and its end of the socket. */
class SimWorker {
  /** Held paths of token hashes, as text: prefix-closed, like an engine that evicts from the end. */
  readonly held = new Set<string>();
  readonly events = new WorkerEvents({ ring: RING, dumpBlocksPerFrame: 3, changed: () => {} });
  readonly outbox: Outbox;
  readonly #late: Uint8Array[] = [];
  socket: PairedSocket | null = null;

  constructor() {
    const progress = new ProgressBook(8, () => {});
    this.outbox = new Outbox({ events: this.events, progress, load: () => NO_LOAD, frameBytes: 1 << 20 });
  }

  /** Grows a path below `under` (a prefix that is cut to what is held). */
  store(under: readonly number[], more: readonly number[]): void {
    let depth = under.length;
    while (depth > 0 && !this.held.has(under.slice(0, depth).join())) depth--;
    const path = [...under.slice(0, depth), ...more];
    for (let i = depth + 1; i <= path.length; i++) this.held.add(path.slice(0, i).join());
    const engineHash = (length: number) => BigInt(`1${path.slice(0, length).join('')}`);
    const blockHashes = hashes(...more.map((_, i) => engineHash(depth + i + 1)));
    const parentHash = depth === 0 ? null : hashes(engineHash(depth));
    this.events.stored({ parentHash, blockHashes, tokensHashes: hashes(...more) });
  }

  /** Drops the `n`th leaf. */
  evict(n: number): void {
    const leaves = [...this.held].filter(
      (path) => ![...this.held].some((other) => other.startsWith(`${path},`)),
    );
    const leaf = leaves[n % Math.max(1, leaves.length)];
    if (leaf === undefined) return;
    this.held.delete(leaf);
    this.events.removed(hashes(BigInt(`1${leaf.replaceAll(',', '')}`)));
  }

  clear(): void {
    this.held.clear();
    this.events.cleared();
  }

  flush(wire: Wire): void {
    if (!this.socket) return;
    for (const frame of this.outbox.frames()) {
      if (wire === 'late') this.#late.push(frame);
      else if (wire !== 'drop') this.socket.send(frame);
      if (wire === 'double') this.socket.send(frame);
    }
    if (wire === 'ok') for (const frame of this.#late.splice(0)) this.socket.send(frame);
    if (wire === 'ok') this.socket.send(heartbeatFrame());
  }

  hear(data: unknown): void {
    const frame = parseRouterFrame(new Uint8Array(data as ArrayBuffer));
    const dump = (value: object) => this.socket?.send(workerFrame({ case: 'dump', value }));
    if (frame.case === 'welcome') this.outbox.welcomed(frame.value);
    if (frame.case === 'resend' && this.outbox.rewind(Number(frame.value.fromEventId))) return;
    if (frame.case === 'sendDump' && frame.value.snapshotPiece !== undefined) {
      const piece = this.events.snapshotPiece(frame.value.snapshotPiece);
      if (piece) dump(piece);
    } else if (frame.case === 'sendDump' || frame.case === 'resend') {
      for (const piece of this.events.dump()) dump(piece);
      this.outbox.dumped();
    } else if (frame.case === 'rejected') throw new Error(frame.value.message);
  }
}

class Simulation {
  readonly host = new VirtualHost({ startMs: 1_000_000 });
  readonly workers: SimWorker[] = [];
  readonly #epochs: number[] = [];
  readonly #routers;

  constructor(workers: number) {
    const { host } = this;
    const report = (error: unknown) => {
      throw error;
    };
    const DIRECTORY = new ObjectNamespace(Directory, { env: {}, host, report });
    const env = { STATOR_LOG_LEVEL: 'error', STATOR_SNAPSHOT_EVENTS: '6', DIRECTORY };
    this.#routers = new ObjectNamespace(Router, { env, host, report });
    for (let i = 0; i < workers; i++) this.restartWorker(i);
  }

  get router() {
    return this.#routers.getByName('default');
  }

  restartWorker(i: number): void {
    this.breakSocket(i);
    this.#epochs[i] = (this.#epochs[i] ?? 0) + 1;
    this.workers[i] = new SimWorker();
  }

  breakSocket(i: number): void {
    const worker = this.workers[i];
    worker?.socket?.vanish();
    if (worker) worker.socket = null;
  }

  restartRouter(): void {
    this.#routers.crash(this.#routers.idFromName('default'));
    for (const worker of this.workers) worker.socket = null;
  }

  /** Every worker without a socket dials. */
  async connect(): Promise<void> {
    for (const [i, worker] of this.workers.entries()) {
      if (worker.socket) continue;
      const headers = { upgrade: 'websocket', 'sec-websocket-protocol': 'stator.fleet.v1' };
      const response = await this.router.fetch(new Request('http://router/fleet/v1/default', { headers }));
      const socket = (response as Response & { webSocket: PairedSocket }).webSocket;
      worker.socket = socket;
      socket.addEventListener('message', ({ data }) => worker.socket === socket && worker.hear(data));
      socket.addEventListener('close', () => {
        if (worker.socket === socket) worker.socket = null;
      });
      socket.send(registerFrame({ instanceId: `a${i}`, epoch: BigInt(this.#epochs[i]!) }));
    }
    await this.host.advance(0);
  }

  /** The wire is whole again and each worker says one more thing: what was lost is found and repaired. */
  async heal(): Promise<void> {
    await this.connect();
    for (const worker of this.workers) worker.store([], [9]);
    for (let ms = 0; ms < 2 * LIMITS.recoveryTimeoutMs; ms += 500) {
      for (const worker of this.workers) worker.flush('ok');
      await this.host.advance(500);
      await this.connect();
    }
  }

  /** Blocks of the path that the router believes the worker has. */
  async overlap(i: number, path: readonly number[]): Promise<number> {
    const answer = await this.router.route({
      requestId: 'req_1',
      model: 'tiny',
      blockHashes: hashes(...path),
      promptTokens: path.length * 4 + 1,
      pinned: `a${i}`,
    });
    if (answer.kind !== 'decision') throw new Error(JSON.stringify(answer));
    await this.router.release(answer.reservation);
    return answer.overlapBlocks;
  }

  /** Every path that anyone holds, one block longer, is matched exactly as far as each worker holds it. */
  async check(): Promise<void> {
    const paths = new Set(this.workers.flatMap(({ held }) => [...held]));
    for (const text of paths) {
      const path = [...text.split(',').map(Number), 1];
      for (const [i, { held }] of this.workers.entries()) {
        let depth = 0;
        while (depth < path.length && held.has(path.slice(0, depth + 1).join())) depth++;
        expect({ worker: i, path, overlap: await this.overlap(i, path) }).toEqual({
          worker: i,
          path,
          overlap: depth,
        });
      }
    }
    const { indexBlocks } = await this.router.status();
    expect(indexBlocks).toBe(paths.size);
  }
}

const token = fc.integer({ min: 1, max: 3 });
const WORKERS = 3;
const worker = fc.nat(WORKERS - 1);
const wire = fc.constantFrom(...WIRES);
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('store' as const),
      worker,
      under: fc.array(token, { maxLength: 4 }),
      more: fc.array(token, { minLength: 1, maxLength: 3 }),
      wire,
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('evict' as const), worker, n: fc.nat(20), wire }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), worker, wire }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('break' as const), worker }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart worker' as const), worker }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart router' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(1_500) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('connect' as const) }) },
);

test('after any faults on either side and between them the index equals the workers’', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const all = new Simulation(WORKERS);
      await all.connect();
      for (const each of steps) {
        if (each.do === 'restart router') all.restartRouter();
        else if (each.do === 'wait') await all.host.advance(each.ms);
        else if (each.do === 'connect') await all.connect();
        else if (each.do === 'break') all.breakSocket(each.worker);
        else if (each.do === 'restart worker') all.restartWorker(each.worker);
        else {
          const one = all.workers[each.worker]!;
          if (each.do === 'store') one.store(each.under, each.more);
          else if (each.do === 'evict') one.evict(each.n);
          else one.clear();
          one.flush(each.wire);
          await all.host.advance(5);
        }
      }
      await all.heal();
      await all.check();
    }),
    { numRuns: 60 },
  );
});
