/**
 * XXH3-64 by the system's libxxhash where there is one: the same numbers as those of the wasm module, faster, callable aside from
 * the event loop, and in pieces. Of its two sets of functions the one that looks at the processor is taken where it was built in: from cache
 * 27 to 30 GB/s against 7 to 12, from memory 8 against 5 to 6 (docs/decisions/0016). Checked against the wasm module before its
 * first use; null where it is missing, because it is no dependency.
 */

import koffi from 'koffi';
import { xxh3 } from '#wasm/tokens';

export interface NativeXxh3 {
  sum(bytes: Uint8Array, seed: bigint): bigint;
  /** On a thread of libuv's pool. `bytes` must stay as they are until it has settled. */
  sumAside(bytes: Uint8Array, seed: bigint): Promise<bigint>;
  /** Takes memory that is never given back: for what lives as long as its thread, one sum after the other. */
  inPieces(): PieceSum;
}

/** The sum of bytes that come in pieces. */
export interface PieceSum {
  begin(seed: bigint): void;
  add(piece: Uint8Array): void;
  end(): bigint;
}

export const nativeXxh3: NativeXxh3 | null = open();

function open(): NativeXxh3 | null {
  for (const name of ['libxxhash.so.0', 'libxxhash.dylib']) {
    for (const variant of ['_dispatch', '']) {
      try {
        const native = bind(koffi.load(name), variant);
        if (agrees(native)) return native;
      } catch {
        // Not on this machine.
      }
    }
  }
  return null;
}

function bind(library: ReturnType<typeof koffi.load>, variant: string): NativeXxh3 {
  const bytes = koffi.pointer('uint8');
  const call = library.func(`XXH3_64bits_withSeed${variant}`, 'uint64', [bytes, 'size_t', 'uint64']);
  const create = library.func('XXH3_createState', 'void *', []);
  const reset = library.func('XXH3_64bits_reset_withSeed', 'int', ['void *', 'uint64']);
  const update = library.func(`XXH3_64bits_update${variant}`, 'int', ['void *', bytes, 'size_t']);
  const digest = library.func('XXH3_64bits_digest', 'uint64', ['void *']);
  return {
    sum: (bytes, seed) => BigInt(call(bytes, bytes.length, seed) as bigint | number),
    sumAside: (bytes, seed) =>
      new Promise((resolve, reject) => {
        call.async(bytes, bytes.length, seed, (error: Error | null, sum: bigint | number) =>
          error ? reject(error) : resolve(BigInt(sum)),
        );
      }),
    inPieces() {
      const state = create();
      return {
        begin: (seed) => void reset(state, seed),
        add: (piece) => void update(state, piece, piece.length),
        end: () => BigInt(digest(state) as bigint | number),
      };
    },
  };
}

/** Each way of XXH3 by length, seeded, whole and in pieces. */
function agrees(native: NativeXxh3): boolean {
  const pieces = native.inPieces();
  return [0, 3, 8, 16, 100, 200, 5_000].every((length) => {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31) & 0xff);
    const seed = 0x9e37_79b9_7f4a_7c15n;
    pieces.begin(seed);
    for (let at = 0; at < length; at += 1_000) pieces.add(bytes.subarray(at, at + 1_000));
    const sum = xxh3(bytes, seed);
    return native.sum(bytes, seed) === sum && pieces.end() === sum;
  });
}
