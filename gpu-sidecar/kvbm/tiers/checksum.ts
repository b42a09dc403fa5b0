/**
 * XXH3-64 of a block's bytes, seeded with its sequence hash: right bytes under a wrong name are found out as surely as flipped
 * bits. By the system's libxxhash where there is one, else by the wasm module that names blocks; native crc32 of node:zlib was
 * measured slower than either (docs/decisions/0014, 0016).
 */

import { xxh3 } from '#wasm/tokens';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { nativeXxh3, type PieceSum } from './native-xxh3.ts';

export const blockChecksum = (hash: bigint, bytes: Uint8Array): bigint =>
  nativeXxh3 === null ? xxh3(bytes, hash) : nativeXxh3.sum(bytes, hash);

/** Threads of libuv's pool that sum at a time; the others are the engine's and the disk's. */
const LANES: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()];
let turn = 0;

/**
 * The same without standing in the way of the event loop, where the block is large and the system can. The bytes must stay as
 * they are until it has settled.
 */
export function blockChecksumAside(hash: bigint, bytes: Uint8Array): Promise<bigint> {
  const native = nativeXxh3;
  if (native === null || bytes.length <= LIMITS.transferSyncBytes)
    return Promise.resolve(blockChecksum(hash, bytes));
  const lane = turn++ % LANES.length;
  const sum = LANES[lane]!.then(() => native.sumAside(bytes, hash));
  LANES[lane] = sum.catch(() => {});
  return sum;
}

/** Sums that no block uses at the moment: there are as many as blocks come at once. */
const IDLE: PieceSum[] = [];

/** Of a block whose bytes come one after the other: each is summed when it has come, if the system can, else all at the end. */
export class ChecksumInPieces {
  readonly #hash: bigint;
  readonly #bytes: Uint8Array;
  /** null: none yet, and none is needed when all come at once. */
  #sum: PieceSum | null = null;
  #summed = 0;

  constructor(hash: bigint, bytes: Uint8Array) {
    this.#hash = hash;
    this.#bytes = bytes;
  }

  /** The first `count` bytes are there now, and stay as they are. */
  add(count: number): void {
    if (nativeXxh3 === null || (this.#sum === null && count === this.#bytes.length)) return;
    if (this.#sum === null) {
      this.#sum = IDLE.pop() ?? nativeXxh3.inPieces();
      this.#sum.begin(this.#hash);
    }
    this.#sum.add(this.#bytes.subarray(this.#summed, count));
    this.#summed = count;
  }

  /** Once. */
  end(): bigint {
    if (this.#sum === null) return blockChecksum(this.#hash, this.#bytes);
    const sum = this.#sum.end();
    this.giveUp();
    return sum;
  }

  /** Instead of `end`, where the rest does not come. */
  giveUp(): void {
    if (this.#sum !== null) IDLE.push(this.#sum);
    this.#sum = null;
  }
}
