/**
 * The index on disk: written every so many events, read when its workers come back (design §4).
 *
 * Both go one chunk a turn, so that decisions pass in between. A rank's snapshot names the last event that was applied when
 * its dump began; the index may change while it is dumped, because replaying the events after that one on top gives
 * the exact state (`wasm/radix`, dump). So a rank whose stream was under repair meanwhile is left out.
 * A snapshot is only ever a head start: what is of another epoch, incomplete or not equal to its checksum is refused
 * and the worker is asked for its whole index; a dump that arrives first wins.
 * Pure: the disk is an interface, the shell calls `turn` when it is due.
 */

import { LIMITS } from '../runtime/limits.ts';
import { CHUNK_BLOCKS, decodeChunk, encodeChunk } from './snapshot-chunk.ts';
import type { SnapshotDisk, SnapshotHead, SnapshotKey } from './snapshot-disk.ts';
import type { Rank, Workers } from './workers.ts';

export interface SnapshotOptions {
  disk: SnapshotDisk;
  /** A new snapshot after so many events; 0: never. */
  everyEvents: number;
  /** `turn` has something to do. */
  wake: () => void;
}

export type SnapshotNote = 'written' | 'skipped' | 'restored' | 'refused' | 'failed';

interface Reading {
  rank: Rank;
  head: SnapshotHead;
  seq: number;
}

interface Writing {
  rank: Rank;
  lastEventId: number;
  repairs: number;
  seq: number;
  cursor: number;
}

export class Snapshots {
  readonly #options: SnapshotOptions;
  readonly #workers: Workers;
  readonly #note: (what: SnapshotNote) => void;
  /** What is whole on disk, by key. */
  readonly #heads = new Map<string, SnapshotHead>();
  readonly #reading: Reading[] = [];
  #writing: Writing | null = null;
  /** Ranks still to be written in this round. */
  readonly #round: Rank[] = [];
  readonly #obsolete: SnapshotHead[] = [];
  #events = 0;

  constructor(options: SnapshotOptions, workers: Workers, note: (what: SnapshotNote) => void) {
    this.#options = options;
    this.#workers = workers;
    this.#note = note;
    for (const head of options.disk.heads()) this.#heads.set(keyOf(head), head);
  }

  /** Events were applied. */
  count(events: number): void {
    this.#events += events;
  }

  /** Begins a round when enough has happened since the last. */
  sweep(): void {
    const { everyEvents, wake } = this.#options;
    if (everyEvents === 0 || this.#events < everyEvents || this.#isWriting) return;
    this.#events = 0;
    const present = new Set<string>();
    for (const { ranks, instanceId } of this.#workers) {
      for (const rank of ranks) {
        present.add(keyOf({ instanceId, dpRank: rank.dpRank }));
        if (rank.stream) this.#round.push(rank);
      }
    }
    for (const [key, head] of this.#heads) if (!present.has(key)) this.#obsolete.push(head);
    wake();
  }

  /** The last event id that a snapshot of this rank includes, which will now be read; null when there is none to use. */
  restore(rank: Rank): number | null {
    const head = this.#heads.get(keyOf(placeOf(rank)));
    if (!head) return null;
    if (head.epoch !== rank.worker.registration.epoch) {
      this.#refuse(head);
      return null;
    }
    this.#reading.push({ rank, head, seq: 0 });
    this.#options.wake();
    return head.lastEventId;
  }

  /** One chunk's work. Milliseconds until the next turn; null when there is nothing to do. */
  turn(nowMs: number): number | null {
    try {
      if (this.#reading.length > 0) this.#read(this.#reading[0]!, nowMs);
      else if (this.#isWriting) this.#write();
    } catch (thrown) {
      // A disk that fails costs the head start, not the service.
      if (!(thrown instanceof Error)) throw thrown;
      this.#abandon(nowMs);
    }
    if (this.#reading.length > 0) return 0;
    return this.#isWriting ? LIMITS.snapshotPauseMs : null;
  }

  get #isWriting(): boolean {
    return this.#writing !== null || this.#round.length > 0 || this.#obsolete.length > 0;
  }

  #read(reading: Reading, nowMs: number): void {
    const { rank, head, seq } = reading;
    // Gone, or overtaken by a dump.
    if (!isPresent(rank) || rank.stream?.phase !== 'restore') {
      this.#reading.shift();
      return;
    }
    const stored = this.#options.disk.read(head, seq);
    const payload = stored && decodeChunk({ ...head, seq }, stored);
    if (!payload) {
      this.#reading.shift();
      this.#refuse(head);
      rank.stream.refuse(nowMs);
      return;
    }
    rank.worker.model.index.load(rank.slot, payload);
    reading.seq++;
    if (reading.seq < head.chunks) return;
    this.#reading.shift();
    rank.stream.restored(nowMs);
    this.#note('restored');
  }

  #write(): void {
    const obsolete = this.#obsolete.pop();
    if (obsolete) {
      this.#forget(obsolete);
      return;
    }
    this.#writing ??= this.#next();
    if (this.#writing) this.#writeChunk(this.#writing);
  }

  /** The next rank of the round that changed and is whole. */
  #next(): Writing | null {
    for (let rank = this.#round.pop(); rank; rank = this.#round.pop()) {
      const { stream } = rank;
      const { epoch } = rank.worker.registration;
      if (!isPresent(rank) || !stream) continue;
      const { lastEventId, repairs } = stream;
      const head = this.#heads.get(keyOf(placeOf(rank)));
      if (head?.epoch === epoch && head.lastEventId === lastEventId) continue;
      if (stream.phase === 'live' && lastEventId >= 0) {
        return { rank, lastEventId, repairs, seq: 0, cursor: 0 };
      }
      this.#note('skipped');
    }
    return null;
  }

  #writeChunk(writing: Writing): void {
    const { rank, lastEventId, repairs, seq } = writing;
    const { disk } = this.#options;
    const key = placeOf(rank);
    if (!isPresent(rank) || rank.stream?.phase !== 'live' || rank.stream.repairs !== repairs) {
      this.#writing = null;
      this.#forget(key);
      this.#note('skipped');
      return;
    }
    const { index } = rank.worker.model;
    const piece = index.dump(rank.slot, { cursor: writing.cursor, maxBlocks: CHUNK_BLOCKS });
    const { epoch } = rank.worker.registration;
    if (seq === 0) {
      this.#heads.delete(keyOf(key));
      disk.begin(key);
    }
    disk.write(key, seq, encodeChunk({ epoch, lastEventId, seq }, piece.words));
    writing.seq++;
    if (piece.cursor !== null) {
      writing.cursor = piece.cursor;
      return;
    }
    const head = { ...key, epoch, lastEventId, chunks: writing.seq };
    disk.commit(head);
    this.#heads.set(keyOf(key), head);
    this.#writing = null;
    this.#note('written');
  }

  #refuse(head: SnapshotHead): void {
    this.#forget(head);
    this.#note('refused');
  }

  #forget(key: SnapshotKey): void {
    this.#heads.delete(keyOf(key));
    this.#options.disk.forget(key);
  }

  #abandon(nowMs: number): void {
    this.#note('failed');
    this.#writing = null;
    this.#round.length = 0;
    this.#obsolete.length = 0;
    for (const { rank } of this.#reading.splice(0)) {
      if (isPresent(rank) && rank.stream?.phase === 'restore') rank.stream.refuse(nowMs);
    }
  }
}

const keyOf = ({ instanceId, dpRank }: SnapshotKey) => `${instanceId}/${dpRank}`;
const placeOf = ({ worker, dpRank }: Rank): SnapshotKey => ({ instanceId: worker.instanceId, dpRank });
const isPresent = ({ worker, slot, dpRank }: Rank) =>
  worker.model.workers.has(worker) && worker.model.slots[slot] === worker.ranks[dpRank];
