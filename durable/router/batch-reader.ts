/**
 * Reads the one frame that comes thousands of times a second, `WorkerFrame{batch}`, without building protobuf objects.
 *
 * The wire format is protobuf's (https://protobuf.dev/programming-guides/encoding/), the messages fleet.proto's; a property
 * test holds this reader to what protobuf-es says of the same bytes. The whole frame is read before anything is applied,
 * so a broken frame changes nothing. Progress objects are reused by the next `read`; byte arrays are views of the frame.
 * Throws `invalid_frame`. Cost: about 0.1 µs a progress entry.
 */

import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { EnginePass } from '../runtime/pass-sample.ts';
import { TIER, type Tier } from './blocks.ts';
import type { KvChange } from './kv-events.ts';

export interface BatchEvent {
  eventId: number;
  dpRank: number;
  change: KvChange;
}

export interface BatchProgress {
  reservation: number;
  /** Phase of fleet.proto: 1 accepted, 2 first token, 3 growth, 4 end. */
  phase: number;
  outputTokens: number;
  cachedTokens: number;
  ttftMs: number;
  totalMs: number;
  finishReason: string;
}

export interface BatchLoad {
  dpRank: number;
  kvUsedBlocks: number;
  running: number;
  waiting: number;
  /** From the nearest on. */
  tiers: TierLoad[];
  /** Null: the engine does not say. */
  decodeKvTokens: number | null;
  /** As many as a report may have; the others are not read. */
  passes: EnginePass[];
}

/** Of both sorts. */
const MOST_PASSES = 2 * LIMITS.passesPerReport;

/** A tier of a worker's KV memory; `tier` as in fleet.proto. */
export interface TierLoad {
  tier: number;
  capacityBlocks: number;
  blocks: number;
  degraded: boolean;
}

/** Field number and wire type of WorkerFrame.batch. */
const BATCH_TAG = (2 << 3) | 2;
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
const NONE = new Uint8Array(0);

/** The bytes of the batch begin at the start of the frame, so that the cheap way may be taken. */
export const isBatchFrame = (frame: Uint8Array): boolean => frame[0] === BATCH_TAG;

export class BatchReader {
  readonly events: BatchEvent[] = [];
  /** The first `progressCount` are of this batch. */
  readonly progress: BatchProgress[] = [];
  progressCount = 0;
  load: BatchLoad | null = null;

  #bytes: Uint8Array = NONE;
  #at = 0;
  /** Start and length of the last length-delimited field. */
  #start = 0;
  #length = 0;
  readonly #word = new Uint8Array(4);
  readonly #float = new Float32Array(this.#word.buffer);

  get isEmpty(): boolean {
    return this.events.length === 0 && this.progressCount === 0 && this.load === null;
  }

  /** Reads a frame that `isBatchFrame`; the results are in this object. */
  read(frame: Uint8Array): void {
    this.#bytes = frame;
    this.#at = 0;
    this.events.length = 0;
    this.progressCount = 0;
    this.load = null;
    while (this.#at < frame.length) {
      const tag = this.#varint();
      if (tag !== BATCH_TAG) throw broken('a batch and something else');
      this.#batch(this.#message(frame.length));
    }
  }

  #batch(end: number): void {
    while (this.#at < end) {
      const tag = this.#tag(end);
      if (tag === 0x0a) this.#event(this.#message(end));
      else if (tag === 0x12) this.#oneProgress(this.#message(end));
      else if (tag === 0x1a) this.#oneLoad(this.#message(end));
      else this.#skip(tag, end);
    }
  }

  #event(end: number): void {
    let eventId = 0;
    let dpRank = 0;
    let tier = 0;
    let change: KvChange | null = null;
    while (this.#at < end) {
      const tag = this.#tag(end);
      if (tag === 0x08) eventId = this.#varint();
      else if (tag === 0x10) dpRank = this.#varint();
      else if (tag === 0x18) tier = this.#varint();
      else if (tag === 0x22) change = this.#stored(this.#message(end));
      else if (tag === 0x2a) change = this.#removed(this.#message(end));
      else if (tag === 0x32) change = this.#cleared(this.#message(end));
      else this.#skip(tag, end);
    }
    if (this.#at !== end) throw broken('a field that crosses the end of its event');
    if (!change) throw broken('a KV event without data');
    // Whether there is such a tier is checked with the rest of the change.
    if (change.kind !== 'cleared') change.tier = tier as Tier;
    this.events.push({ eventId, dpRank, change });
  }

  #stored(end: number): KvChange {
    let parentHash: Uint8Array = NONE;
    let blockHashes: Uint8Array = NONE;
    let tokensHashes: Uint8Array = NONE;
    while (this.#at < end) {
      const tag = this.#tag(end);
      if (tag === 0x0a) parentHash = this.#view(end);
      else if (tag === 0x12) blockHashes = this.#view(end);
      else if (tag === 0x1a) tokensHashes = this.#view(end);
      else this.#skip(tag, end);
    }
    return { kind: 'stored', tier: TIER.device, parentHash, blockHashes, tokensHashes };
  }

  #removed(end: number): KvChange {
    let blockHashes: Uint8Array = NONE;
    while (this.#at < end) {
      const tag = this.#tag(end);
      if (tag === 0x0a) blockHashes = this.#view(end);
      else this.#skip(tag, end);
    }
    return { kind: 'removed', tier: TIER.device, blockHashes };
  }

  #cleared(end: number): KvChange {
    while (this.#at < end) this.#skip(this.#tag(end), end);
    return { kind: 'cleared' };
  }

  #oneProgress(end: number): void {
    const entry = this.#nextProgress();
    while (this.#at < end) {
      const tag = this.#tag(end);
      if (tag === 0x08) entry.reservation = this.#varint();
      else if (tag === 0x10) entry.phase = this.#varint();
      else if (tag === 0x18) entry.outputTokens = this.#varint();
      else if (tag === 0x20) entry.cachedTokens = this.#varint();
      else if (tag === 0x2d) entry.ttftMs = this.#float32(end);
      else if (tag === 0x35) entry.totalMs = this.#float32(end);
      else if (tag === 0x3a) entry.finishReason = this.#text(end);
      else this.#skip(tag, end);
    }
    if (this.#at !== end) throw broken('a field that crosses the end of its progress entry');
  }

  #nextProgress(): BatchProgress {
    let entry = this.progress[this.progressCount++];
    if (!entry) {
      entry = emptyProgress();
      this.progress.push(entry);
      return entry;
    }
    entry.reservation = 0;
    entry.phase = 0;
    entry.outputTokens = 0;
    entry.cachedTokens = 0;
    entry.ttftMs = 0;
    entry.totalMs = 0;
    entry.finishReason = '';
    return entry;
  }

  #oneLoad(end: number): void {
    this.load ??= emptyLoad();
    while (this.#at < end) {
      const tag = this.#tag(end);
      if (tag === 0x08) this.load.dpRank = this.#varint();
      else if (tag === 0x10) this.load.kvUsedBlocks = this.#varint();
      else if (tag === 0x18) this.load.running = this.#varint();
      else if (tag === 0x20) this.load.waiting = this.#varint();
      else if (tag === 0x2a) this.load.tiers.push(this.#tier(this.#message(end)));
      else if (tag === 0x30) this.load.decodeKvTokens = this.#varint();
      else if (tag === 0x3a && this.load.passes.length < MOST_PASSES) {
        this.load.passes.push(this.#pass(this.#message(end)));
      } else this.#skip(tag, end);
    }
  }

  #pass(end: number): EnginePass {
    const pass: EnginePass = { prefillTokens: 0, decodeKvTokens: 0, queuedTokens: 0, wallMs: 0 };
    while (this.#at < end) {
      const tag = this.#tag(end);
      if (tag === 0x08) pass.prefillTokens = this.#varint();
      else if (tag === 0x10) pass.decodeKvTokens = this.#varint();
      else if (tag === 0x18) pass.queuedTokens = this.#varint();
      else if (tag === 0x25) pass.wallMs = this.#float32(end);
      else this.#skip(tag, end);
    }
    if (this.#at !== end) throw broken('a field that crosses the end of its pass');
    return pass;
  }

  #tier(end: number): TierLoad {
    const load: TierLoad = { tier: 0, capacityBlocks: 0, blocks: 0, degraded: false };
    while (this.#at < end) {
      const tag = this.#tag(end);
      if (tag === 0x08) load.tier = this.#varint();
      else if (tag === 0x10) load.capacityBlocks = this.#varint();
      else if (tag === 0x18) load.blocks = this.#varint();
      else if (tag === 0x20) load.degraded = this.#varint() !== 0;
      else this.#skip(tag, end);
    }
    if (this.#at !== end) throw broken('a field that crosses the end of its tier');
    return load;
  }

  #tag(end: number): number {
    const tag = this.#varint();
    if (this.#at > end) throw broken('a field that crosses the end of its message');
    return tag;
  }

  /** Unsigned; past 2^53 it is refused, because ids must stay exact. */
  #varint(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#at++]!;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let scale = 0x80; ; scale *= 0x80) {
      if (this.#at >= bytes.length) throw broken('it ends inside a number');
      byte = bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw broken('a number over 2^53');
      if (byte < 0x80) return value;
      if (scale > 2 ** 56) throw broken('a number of more than ten bytes');
    }
  }

  /** Enters a length-delimited field; returns where it ends. */
  #message(end: number): number {
    this.#bounds(end);
    return this.#start + this.#length;
  }

  #view(end: number): Uint8Array {
    this.#bounds(end);
    this.#at = this.#start + this.#length;
    return this.#length === 0 ? NONE : this.#bytes.subarray(this.#start, this.#at);
  }

  #text(end: number): string {
    const bytes = this.#view(end);
    if (bytes.length > 64) throw broken('a finish reason of more than 64 bytes');
    return String.fromCharCode(...bytes);
  }

  #bounds(end: number): void {
    this.#length = this.#varint();
    this.#start = this.#at;
    if (this.#start + this.#length > end) throw broken('a field longer than its message');
  }

  #float32(end: number): number {
    if (this.#at + 4 > end) throw broken('it ends inside a number');
    for (let i = 0; i < 4; i++) this.#word[i] = this.#bytes[this.#at++]!;
    return this.#float[0]!;
  }

  /** Unknown fields are skipped, as protobuf has it. */
  #skip(tag: number, end: number): void {
    const wire = tag & 7;
    if (tag < 8) throw broken('a field of number 0');
    if (wire === WIRE.varint) this.#varint();
    else if (wire === WIRE.fixed64) this.#at += 8;
    else if (wire === WIRE.bytes) this.#view(end);
    else if (wire === WIRE.fixed32) this.#at += 4;
    else throw broken(`a field of wire type ${wire}`);
    if (this.#at > end) throw broken('a field that crosses the end of its message');
  }
}

const emptyLoad = (): BatchLoad => ({
  dpRank: 0,
  kvUsedBlocks: 0,
  running: 0,
  waiting: 0,
  tiers: [],
  decodeKvTokens: null,
  passes: [],
});

const emptyProgress = (): BatchProgress => ({
  reservation: 0,
  phase: 0,
  outputTokens: 0,
  cachedTokens: 0,
  ttftMs: 0,
  totalMs: 0,
  finishReason: '',
});

const broken = (what: string) => new StatorError('invalid_frame', `the batch frame has ${what}`);
