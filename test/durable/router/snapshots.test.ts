/** Are snapshots taken a chunk a turn, read back exactly, and refused when anything about them is wrong? */

import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { SqlStorage } from '../../../durable/polyfill/sql-storage.ts';
import { type SnapshotDisk, sqlSnapshotDisk } from '../../../durable/router/snapshot-disk.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { WorkerEvents } from '../../../gpu-sidecar/fleet/worker-events.ts';
import { Harness, type TestSocket } from './core-harness.ts';
import { batchFrame, registerFrame, storedEvent, workerFrame } from './fleet-worker.ts';
import { hashes } from './naive-indexes.ts';

const A = '00000000000000a1';
const B = '00000000000000b2';
const CHUNK_BLOCKS = 3;

/** A disk that outlives routers. */
function makeDisk() {
  const db = new DatabaseSync(':memory:');
  const sql = new SqlStorage(db) as never;
  const open = (reset = false) => sqlSnapshotDisk(sql, { reset });
  return { db, open };
}

/** One life of a router on a disk. */
function life(disk: SnapshotDisk, everyEvents = 1) {
  let woken = 0;
  const harness = new Harness({}, { snapshots: { disk, everyEvents, wake: () => woken++ } });
  const { core, clock } = harness;
  /** Turns until nothing is left; answers what is asked of the workers. */
  const work = (...workers: Worker[]): number => {
    for (let turns = 1; turns < 1_000; turns++) {
      const pauseMs = core.snapshotTurn(clock.nowMs());
      if (pauseMs === null) return turns;
      for (const worker of workers) worker.answer();
      clock.advance(pauseMs);
    }
    throw new Error('it does not end');
  };
  const snapshot = (...workers: Worker[]): number => {
    core.sweep(clock.nowMs());
    return work(...workers);
  };
  const notes = () =>
    Object.fromEntries(
      [...core.metrics().matchAll(/kv_snapshots_total\{what="(\w+)"\} (\d+)/g)].map(([, what, n]) => [
        what,
        Number(n),
      ]),
    );
  return { harness, core, work, snapshot, notes, woken: () => woken };
}

/** A worker's process, with its real event log, on one socket at a time. */
class Worker {
  readonly events = new WorkerEvents({ ring: 4, dumpBlocksPerFrame: CHUNK_BLOCKS, changed: () => {} });
  readonly #instanceId: string;
  #socket: TestSocket | null = null;
  #heard = 0;
  #told = 0;

  constructor(instanceId: string) {
    this.#instanceId = instanceId;
  }

  /** What the router asked since the last look, in words. */
  asked: string[] = [];

  connect(harness: Harness, epoch = 1n): this {
    this.#socket = harness.connect();
    this.#heard = 0;
    this.asked = [];
    this.#socket.send(registerFrame({ instanceId: this.#instanceId, epoch }));
    this.#hear();
    return this;
  }

  store(...blocks: number[]): this {
    this.events.stored({ parentHash: null, blockHashes: hashes(...blocks), tokensHashes: hashes(...blocks) });
    return this;
  }

  /** Sends what is new. */
  tell(from = this.#told): this {
    const kvEvents = this.events.since(from);
    if (kvEvents === null) throw new Error('the ring is too short');
    this.#socket!.send(batchFrame({ kvEvents }));
    this.#told = this.events.next;
    return this;
  }

  /** Does what was asked. */
  answer(): void {
    this.#hear();
    for (const word of this.asked.splice(0)) {
      const [what, at] = word.split(' ');
      if (what === 'resend') this.tell(Number(at));
      else if (what === 'piece') {
        const piece = this.events.snapshotPiece(Number(at));
        if (piece) this.#socket!.send(workerFrame({ case: 'dump', value: piece }));
      } else
        for (const dump of this.events.dump()) this.#socket!.send(workerFrame({ case: 'dump', value: dump }));
    }
  }

  #hear(): void {
    for (const frame of this.#socket!.frames.slice(this.#heard)) {
      if (frame.case === 'resend') this.asked.push(`resend ${frame.value.fromEventId}`);
      if (frame.case === 'sendDump') {
        this.asked.push(
          frame.value.snapshotPiece === undefined ? 'dump' : `piece ${frame.value.snapshotPiece}`,
        );
      }
    }
    this.#heard = this.#socket!.frames.length;
  }
}

/** A worker of seven blocks, known to a router that has taken a snapshot of it. */
function taken(all = makeDisk()) {
  const first = life(all.open());
  const worker = new Worker(A).connect(first.harness);
  worker.answer();
  worker.store(1, 2, 3, 4).store(5, 6).store(7).tell();
  const turns = first.snapshot(worker);
  expect(first.notes()).toEqual({ written: 1 });
  return { ...all, worker, turns };
}

const rows = (db: DatabaseSync, table: string) => db.prepare(`SELECT * FROM ${table}`).all();
const overlap = (harness: Harness, ...blocks: number[]) => harness.decide({ blocks }).overlapBlocks;

describe('taking a snapshot', () => {
  test('begins after the configured number of events, and asks for a piece a turn', () => {
    const one = life(makeDisk().open(), 3);
    const worker = new Worker(A).connect(one.harness);
    worker.answer();
    worker.store(1, 2, 3, 4).store(5).tell();
    one.core.sweep(0);
    expect(one.woken()).toBe(0);
    worker.store(6).tell();
    one.core.sweep(0);
    expect(one.woken()).toBe(1);
    expect(one.core.snapshotTurn(0)).toBe(LIMITS.snapshotPauseMs);
    worker.answer();
    expect(one.notes()).toEqual({});
    one.work(worker);
    expect(one.notes()).toEqual({ written: 1 });
  });

  test('writes one chunk for each piece and keeps none from before', () => {
    const { db, open, worker } = taken();
    expect(rows(db, 'snapshot_chunks')).toHaveLength(3);
    expect(rows(db, 'snapshot_heads')).toMatchObject([
      { instance: A, epoch: 1, last_event_id: 2, chunks: 3 },
    ]);
    const again = life(open());
    worker.connect(again.harness);
    again.work(worker);
    worker.events.cleared();
    worker.store(9).tell();
    again.snapshot(worker);
    expect(rows(db, 'snapshot_chunks')).toHaveLength(1);
    expect(rows(db, 'snapshot_heads')).toMatchObject([{ last_event_id: 4, chunks: 1 }]);
  });

  test('leaves out ranks without news, and forgets workers that are gone', () => {
    const all = makeDisk();
    const one = life(all.open());
    const a = new Worker(A).connect(one.harness);
    const b = new Worker(B).connect(one.harness);
    a.answer();
    b.answer();
    a.store(1).tell();
    b.store(2).tell();
    one.snapshot(a, b);
    expect(one.notes()).toEqual({ written: 2 });
    a.store(3).tell();
    one.snapshot(a, b);
    expect(one.notes()).toEqual({ written: 3 });
    const next = life(all.open());
    a.connect(next.harness);
    next.work(a);
    a.store(4).tell();
    next.snapshot(a);
    expect(rows(all.db, 'snapshot_heads')).toMatchObject([{ instance: A }]);
  });

  test('goes on without a worker that does not answer, whose old chunks count no more', () => {
    const { db, open, worker } = taken();
    const next = life(open());
    worker.connect(next.harness);
    next.work(worker);
    worker.store(8).tell();
    next.snapshot();
    expect(next.notes()).toMatchObject({ skipped: 1 });
    expect(rows(db, 'snapshot_heads')).toEqual([]);
  });

  test('a whole dump in between ends it: nothing half is kept', () => {
    const one = life(makeDisk().open());
    const worker = new Worker(A).connect(one.harness);
    worker.answer();
    worker.store(1, 2, 3, 4, 5).tell();
    one.core.sweep(0);
    one.core.snapshotTurn(0);
    worker.answer();
    worker.events.dump();
    one.work(worker);
    expect(one.notes()).toEqual({ skipped: 1 });
  });

  test('a disk that fails is noted, and routing goes on', () => {
    const disk = makeDisk().open();
    disk.write = () => {
      throw new Error('full');
    };
    const one = life(disk);
    const worker = new Worker(A).connect(one.harness);
    worker.answer();
    worker.store(1, 2).tell();
    one.snapshot(worker);
    expect(one.notes()).toEqual({ failed: 1 });
    expect(overlap(one.harness, 1, 2, 3)).toBe(2);
  });
});

describe('after a restart', () => {
  test('what the snapshot has is there before the worker sends more than the events since', () => {
    const { open, worker } = taken();
    worker.store(8).store(9);
    const next = life(open());
    worker.connect(next.harness);
    expect(worker.asked).toEqual(['resend 3']);
    next.work();
    expect(overlap(next.harness, 1, 2, 3, 4, 5)).toBe(4);
    expect(overlap(next.harness, 8)).toBe(0);
    worker.answer();
    expect(overlap(next.harness, 8)).toBe(1);
    expect(next.notes()).toEqual({ restored: 1 });
  });

  test('events that come while it is read wait', () => {
    const { open, worker } = taken();
    worker.store(8);
    worker.events.removed(hashes(5, 6));
    const next = life(open());
    worker.connect(next.harness);
    worker.answer();
    expect(overlap(next.harness, 8)).toBe(0);
    next.work();
    expect([overlap(next.harness, 8), overlap(next.harness, 5, 6), overlap(next.harness, 7)]).toEqual([
      1, 0, 1,
    ]);
  });

  test('a dump that comes first wins', () => {
    const { open, worker } = taken();
    worker.events.cleared();
    worker.store(20);
    const next = life(open());
    worker.connect(next.harness);
    worker.asked = ['dump'];
    worker.answer();
    next.work();
    expect([overlap(next.harness, 20), overlap(next.harness, 1)]).toEqual([1, 0]);
    expect(next.notes()).toEqual({});
  });

  const spoilt: [string, (db: DatabaseSync) => void][] = [
    [
      'a bit is wrong',
      (db) => db.exec('UPDATE snapshot_chunks SET bytes = zeroblob(length(bytes)) WHERE seq = 1'),
    ],
    ['a chunk is missing', (db) => db.exec('DELETE FROM snapshot_chunks WHERE seq = 2')],
    [
      'a chunk is cut short',
      (db) => db.exec('UPDATE snapshot_chunks SET bytes = substr(bytes, 1, 20) WHERE seq = 0'),
    ],
    [
      'chunks are exchanged',
      (db) => db.exec('UPDATE snapshot_chunks SET bytes = (SELECT bytes FROM snapshot_chunks WHERE seq = 0)'),
    ],
    [
      'the format is of another version',
      (db) =>
        db.exec(
          "UPDATE snapshot_chunks SET bytes = unhex(substr(hex(bytes), 1, 8) || '09' || substr(hex(bytes), 11))",
        ),
    ],
  ];
  test.each(spoilt)('%s: refused, and the worker is asked for everything', (_name, spoil) => {
    const { db, open, worker } = taken();
    spoil(db);
    const next = life(open());
    worker.connect(next.harness);
    next.work(worker);
    worker.answer();
    expect(next.notes()).toEqual({ refused: 1 });
    expect(overlap(next.harness, 1, 2, 3, 4)).toBe(4);
    expect(next.core.status().indexBlocks).toBe(7);
    expect(rows(db, 'snapshot_heads')).toEqual([]);
  });

  test('another epoch of the worker has nothing of the older one', () => {
    const { open } = taken();
    const next = life(open());
    const worker = new Worker(A).connect(next.harness, 2n);
    expect(worker.asked).toEqual(['dump']);
    worker.answer();
    next.work(worker);
    expect(next.notes()).toEqual({ refused: 1 });
    expect(overlap(next.harness, 1)).toBe(0);
  });

  test('a process that died between chunks left none that counts', () => {
    const { db, open, worker } = taken();
    const next = life(open());
    worker.connect(next.harness);
    next.work(worker);
    worker.store(8).tell();
    next.core.sweep(0);
    next.core.snapshotTurn(0);
    worker.answer();
    expect(rows(db, 'snapshot_heads')).toEqual([]);
    const last = life(open());
    expect(worker.connect(last.harness).asked).toEqual(['dump']);
  });

  test('reset_states forgets all', () => {
    const { open, worker } = taken();
    const next = life(open(true));
    expect(worker.connect(next.harness).asked).toEqual(['dump']);
  });
});

test('a piece that nobody asked for changes nothing', () => {
  const one = life(makeDisk().open());
  const worker = new Worker(A).connect(one.harness);
  worker.answer();
  const socket = one.harness.connect();
  socket.send(registerFrame({ instanceId: B }));
  socket.send(
    workerFrame({ case: 'dump', value: { first: true, last: true, snapshotPiece: 0, lastEventId: 3n } }),
  );
  socket.send(batchFrame({ kvEvents: [storedEvent(0, [1])] }));
  expect(socket.rejection).toBeUndefined();
  expect(one.notes()).toEqual({});
});
