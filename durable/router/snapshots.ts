/**
 * The index on disk: taken every so many events, read when its workers come back (design §4).
 *
 * A worker's own index is the truth and it already knows how to dump it, so a snapshot is the frames of such a dump, kept as
 * they came: rank by rank, piece by piece, each asked for after a pause. The router's index is not touched, its part is
 * one small write a turn, and the scanning is done by as many machines as there are workers.
 * A snapshot names the last event before its dump began; replaying the events after it on top gives the exact state.
 * It is only ever a head start: what is of another epoch, incomplete or not equal to its checksum is refused and the
 * worker is asked for its whole index; a dump that arrives first wins.
 * Pure: the disk is an interface, the shell calls `turn` when it is due.
 */

import { LIMITS } from '../runtime/limits.ts';
import { decodeWorkerFrame } from './frames.ts';
import { dumpChunk } from './kv-changes.ts';
import type { DumpChunk } from './kv-events.ts';
import { decodeChunk, encodeChunk } from './snapshot-chunk.ts';
import type { SnapshotDisk, SnapshotHead, SnapshotKey } from './snapshot-disk.ts';
import type { Rank, Workers } from './workers.ts';

export interface SnapshotOptions {
  disk: SnapshotDisk;
  /** A new snapshot after so many events; 0: never. */
  everyEvents: number;
  /** `turn` has something to do. */
  wake: () => void;
  /** All ranks are asked anew from here on; and all that answered are on disk. */
  round?: (what: 'begins' | 'ends') => void;
}

type AskPiece = (rank: Rank, piece: number) => void;

export type SnapshotNote = 'written' | 'skipped' | 'restored' | 'refused' | 'failed';

interface Reading {
  rank: Rank;
  head: SnapshotHead;
  seq: number;
}

interface Writing {
  rank: Rank;
  /** The piece that was asked for. */
  seq: number;
  askedMs: number;
  /** It came, so the next may be asked for. */
  came: boolean;
}

/** A piece of a worker's dump, as the frame that brought it. */
export interface SnapshotPiece extends DumpChunk {
  piece: number;
  frame: Uint8Array;
}

export class Snapshots {
  readonly #options: SnapshotOptions;
  readonly #workers: Workers;
  readonly #note: (what: SnapshotNote) => void;
  readonly #ask: AskPiece;
  /** What is whole on disk, by key. */
  readonly #heads = new Map<string, SnapshotHead>();
  readonly #reading: Reading[] = [];
  #writing: Writing | null = null;
  /** Ranks still to be written in this round. */
  readonly #round: Rank[] = [];
  readonly #obsolete: SnapshotHead[] = [];
  #events = 0;
  #inRound = false;

  constructor(
    options: SnapshotOptions,
    workers: Workers,
    hooks: { note: (what: SnapshotNote) => void; ask: AskPiece },
  ) {
    this.#options = options;
    this.#workers = workers;
    this.#note = hooks.note;
    this.#ask = hooks.ask;
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
    this.#inRound = true;
    this.#options.round?.('begins');
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
      else if (this.#isWriting) this.#write(nowMs);
      if (this.#inRound && !this.#isWriting) {
        this.#inRound = false;
        this.#options.round?.('ends');
      }
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
    const chunk = stored && chunkOf(decodeChunk({ ...head, seq }, stored));
    if (!chunk) {
      this.#reading.shift();
      this.#refuse(head);
      rank.stream.refuse(nowMs);
      return;
    }
    rank.stream.restore(chunk);
    reading.seq++;
    if (reading.seq < head.chunks) return;
    this.#reading.shift();
    rank.stream.restored(nowMs);
    this.#note('restored');
  }

  /** A worker sent a piece. What was not asked for, or comes too late, is ignored. */
  receive(rank: Rank, piece: SnapshotPiece): void {
    const writing = this.#writing;
    if (writing?.rank !== rank || writing.seq !== piece.piece || writing.came) return;
    writing.came = true;
    try {
      this.#keep(writing, piece);
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      this.#note('failed');
      this.#writing = null;
    }
  }

  #write(nowMs: number): void {
    const obsolete = this.#obsolete.pop();
    if (obsolete) {
      this.#forget(obsolete);
      return;
    }
    const writing = this.#writing ?? this.#next();
    this.#writing = writing;
    if (!writing) return;
    if (!isPresent(writing.rank) || (!writing.came && nowMs - writing.askedMs > LIMITS.recoveryTimeoutMs)) {
      this.#forget(placeOf(writing.rank));
      this.#writing = null;
      this.#note('skipped');
    } else if (writing.came) {
      writing.seq++;
      writing.came = false;
      writing.askedMs = nowMs;
      this.#ask(writing.rank, writing.seq);
    }
  }

  /** The next rank of the round of which there is something new. */
  #next(): Writing | null {
    for (let rank = this.#round.pop(); rank; rank = this.#round.pop()) {
      if (!isPresent(rank) || !rank.stream) continue;
      const { lastEventId } = rank.stream;
      const head = this.#heads.get(keyOf(placeOf(rank)));
      if (head?.epoch === rank.worker.registration.epoch && head.lastEventId === lastEventId) continue;
      return { rank, seq: -1, askedMs: 0, came: true };
    }
    return null;
  }

  #keep(writing: Writing, { last, lastEventId, frame }: SnapshotPiece): void {
    const { rank, seq } = writing;
    const { disk } = this.#options;
    const key = placeOf(rank);
    const { epoch } = rank.worker.registration;
    if (seq === 0) {
      this.#heads.delete(keyOf(key));
      disk.begin(key);
    }
    disk.write(key, seq, encodeChunk({ epoch, seq }, frame));
    if (!last) return;
    this.#writing = null;
    // A worker without events has nothing to restore.
    if (lastEventId === null) return;
    const head = { ...key, epoch, lastEventId, chunks: seq + 1 };
    disk.commit(head);
    this.#heads.set(keyOf(key), head);
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

/** The dump in a kept frame; null when it is none. */
function chunkOf(frame: Uint8Array | null): DumpChunk | null {
  if (!frame) return null;
  const decoded = decodeWorkerFrame(frame);
  return decoded.case === 'dump' ? dumpChunk(decoded.value) : null;
}

const keyOf = ({ instanceId, dpRank }: SnapshotKey) => `${instanceId}/${dpRank}`;
const placeOf = ({ worker, dpRank }: Rank): SnapshotKey => ({ instanceId: worker.instanceId, dpRank });
const isPresent = ({ worker, slot, dpRank }: Rank) =>
  worker.model.workers.has(worker) && worker.model.slots[slot] === worker.ranks[dpRank];
