/**
 * G3: blocks in one preallocated file, and an index beside it from which they are known again after a restart.
 *
 * A slot's place in the index is emptied before its bytes are overwritten and written after them, so a process that is killed
 * leaves no record of bytes that are not there. Nothing is synced (it is a cache): what a power failure leaves behind is
 * found out by the checksums, of records when the index is read and of blocks when they are read. One process at a time has a folder.
 */

import { read as readSome, write as writeSome } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { decodeRecord, encodeRecord, RECORD_BYTES } from './block-record.ts';
import { ChecksumInPieces } from './checksum.ts';
import { FolderLock } from './folder-lock.ts';
import { preallocate } from './preallocate.ts';
import { type BlockDescription, TierFault, type TierStore } from './tier-store.ts';

export interface DiskOptions {
  folder: string;
  capacityBlocks: number;
  blockBytes: number;
  layout: string;
}

/** What was in the folder already. */
export interface FoundBlocks {
  blocks: { slot: number; described: BlockDescription }[];
  /** Records that are neither empty nor sound: torn, or of another layout or block size. */
  dropped: number;
}

const EMPTY = new Uint8Array(RECORD_BYTES);

export class DiskStore implements TierStore {
  readonly #options: DiskOptions;
  readonly #lock: FolderLock;
  readonly #index: FileHandle;
  readonly #blocks: FileHandle;
  readonly #idle: (() => void)[] = [];
  #underWay = 0;
  #closed = false;

  private constructor(
    options: DiskOptions,
    lock: FolderLock,
    files: { index: FileHandle; blocks: FileHandle },
  ) {
    this.#options = options;
    this.#lock = lock;
    this.#index = files.index;
    this.#blocks = files.blocks;
  }

  /** Throws TierFault: no room, no rights, or another process has the folder. */
  static async open(options: DiskOptions): Promise<{ store: DiskStore; found: FoundBlocks }> {
    await mkdir(options.folder, { recursive: true });
    const lock = await FolderLock.take(options.folder);
    const opened: FileHandle[] = [];
    try {
      for (const name of ['index', 'blocks']) opened.push(await openKeeping(join(options.folder, name)));
      const [index, blocks] = opened as [FileHandle, FileHandle];
      const found = await readIndex(index, options);
      await index.truncate(options.capacityBlocks * RECORD_BYTES);
      await preallocate(blocks, options.capacityBlocks * options.blockBytes);
      return { store: new DiskStore(options, lock, { index, blocks }), found };
    } catch (thrown) {
      for (const file of opened) await file.close();
      await lock.release();
      throw thrown;
    }
  }

  async write(slot: number, described: BlockDescription, bytes: Uint8Array): Promise<void> {
    await this.#writeAll(this.#index, EMPTY, slot * RECORD_BYTES);
    await this.#writeAll(this.#blocks, bytes, slot * this.#options.blockBytes);
    const record = encodeRecord(described, this.#options.blockBytes, this.#options.layout);
    await this.#writeAll(this.#index, record, slot * RECORD_BYTES);
  }

  /** Summed piece by piece as they come, while the processor has them in its cache. */
  async read(slot: number, described: BlockDescription, into: Uint8Array): Promise<bigint> {
    const start = slot * this.#options.blockBytes;
    const checksum = new ChecksumInPieces(described.identity.hash, into);
    try {
      for (let at = 0; at < into.length; ) {
        const piece = into.subarray(at, at + LIMITS.transferSyncBytes);
        const count = await this.#run(readSome, this.#blocks, piece, start + at);
        if (count === 0) throw new TierFault('short_read', `slot ${slot} has ${at} bytes`);
        at += count;
        checksum.add(at);
      }
    } catch (thrown) {
      checksum.giveUp();
      throw thrown;
    }
    if (checksum.end() !== described.checksum)
      throw new TierFault('checksum', `the bytes in slot ${slot} are not those that were written`);
    return described.checksum;
  }

  async erase(slot: number): Promise<void> {
    await this.#writeAll(this.#index, EMPTY, slot * RECORD_BYTES);
  }

  /** What is under way ends first: its files have numbers that others would get. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    await this.#index.close();
    await this.#blocks.close();
    await this.#lock.release();
  }

  async #writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length; )
      at += await this.#run(writeSome, file, bytes.subarray(at), position + at);
  }

  /** By number and not by the handle's own methods, which cost twice as much for a small block. */
  #run(call: Call, file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
    if (this.#closed) return Promise.reject(new TierFault('io', 'the disk tier is closed'));
    this.#underWay++;
    return new Promise((resolve, reject) => {
      call(file.fd, bytes, 0, bytes.length, position, (error, count) => {
        if (--this.#underWay === 0) for (const idle of this.#idle.splice(0)) idle();
        if (error) reject(error);
        else resolve(count);
      });
    });
  }
}

type Call = (
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  position: number,
  done: (error: Error | null, count: number) => void,
) => void;

async function openKeeping(path: string): Promise<FileHandle> {
  return open(path, 'r+').catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code !== 'ENOENT') throw thrown;
    return open(path, 'w+', 0o600);
  });
}

/** The sound records of blocks that fit; parents before children. */
async function readIndex(index: FileHandle, options: DiskOptions): Promise<FoundBlocks> {
  const found: FoundBlocks = { blocks: [], dropped: 0 };
  const { size } = await index.stat();
  const bytes = new Uint8Array(Math.min(size, options.capacityBlocks * RECORD_BYTES));
  const { bytesRead } = await index.read(bytes, 0, bytes.length, 0);
  for (let slot = 0; (slot + 1) * RECORD_BYTES <= bytesRead; slot++) {
    const record = bytes.subarray(slot * RECORD_BYTES, (slot + 1) * RECORD_BYTES);
    if (record.every((byte) => byte === 0)) continue;
    const described = decodeRecord(record, options.blockBytes, options.layout);
    if (described) found.blocks.push({ slot, described });
    else {
      found.dropped++;
      await index.write(EMPTY, 0, RECORD_BYTES, slot * RECORD_BYTES);
    }
  }
  found.blocks.sort((a, b) => a.described.identity.position - b.described.identity.position);
  return found;
}
