/**
 * G4: each block an object of record and bytes, named by layout and sequence hash, so that workers of one model share them and
 * those of another never meet them.
 *
 * An object is judged by its own record: another worker may have put the block since, with bytes that differ in the last bits.
 */

import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { decodeRecord, encodeRecord, RECORD_BYTES } from './block-record.ts';
import { blockChecksum } from './checksum.ts';
import { type BlockDescription, TierFault, type TierStore } from './tier-store.ts';

export class ObjectTierStore implements TierStore {
  readonly #objects: ObjectStore;
  readonly #blockBytes: number;
  readonly #layout: string;

  constructor(objects: ObjectStore, options: { blockBytes: number; layout: string }) {
    this.#objects = objects;
    this.#blockBytes = options.blockBytes;
    this.#layout = options.layout;
  }

  async write(
    _slot: number,
    described: BlockDescription,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const object = new Uint8Array(RECORD_BYTES + bytes.length);
    object.set(encodeRecord(described, bytes.length, this.#layout));
    object.set(bytes, RECORD_BYTES);
    await this.#objects.put(this.#keyOf(described.identity.hash), object, signal);
  }

  async read(
    _slot: number,
    described: BlockDescription,
    into: Uint8Array,
    signal: AbortSignal,
  ): Promise<bigint> {
    const { hash } = described.identity;
    const object = await this.#objects.get(this.#keyOf(hash), RECORD_BYTES + this.#blockBytes, signal);
    const stored = decodeRecord(object, this.#blockBytes, this.#layout);
    const bytes = object.subarray(RECORD_BYTES);
    if (stored?.identity.hash !== hash || blockChecksum(hash, bytes) !== stored.checksum)
      throw new TierFault('checksum', `object ${this.#keyOf(hash)} is damaged`);
    into.set(bytes);
    return stored.checksum;
  }

  /** Whether anybody has put this block. */
  has(hash: bigint, signal: AbortSignal): Promise<boolean> {
    return this.#objects.has(this.#keyOf(hash), signal);
  }

  /** Deletes what is there beyond so many blocks: earlier lives of this worker put it, and nobody counts it any more. */
  async trim(capacityBlocks: number, signal: AbortSignal): Promise<void> {
    const keys = await this.#objects.list(
      `${this.#layout}/`,
      capacityBlocks + LIMITS.kvbmTrimmedObjects,
      signal,
    );
    for (const key of keys.slice(capacityBlocks)) await this.#objects.delete(key, signal);
  }

  async erase(_slot: number, described: BlockDescription, signal: AbortSignal): Promise<void> {
    await this.#objects.delete(this.#keyOf(described.identity.hash), signal);
  }

  async close(): Promise<void> {}

  /** Two digits of the hash make 256 folders, so that none grows too large. */
  #keyOf(hash: bigint): string {
    const name = hash.toString(16).padStart(16, '0');
    return `${this.#layout}/${name.slice(0, 2)}/${name}`;
  }
}
