/**
 * The fixed workload of the index benchmark, as packed bytes: the same numbers as the native peer makes (its WORKLOAD.md).
 *
 * `blocks / 68` sequences of 128 blocks: 64 shared by a group of 16 sequences, then 64 of its own; each stored in 8 events of
 * 16 blocks, by one of the workers. Queries ask for the first blocks of a sequence, then for what nobody has. At the end
 * the own half of every second sequence is removed, deepest block first.
 */

const HALF = 64;
const PATH = 2 * HALF;
const EVENT_BLOCKS = 16;

export interface StoreEvent {
  slot: number;
  parentHash: Uint8Array | null;
  blockHashes: Uint8Array;
  tokensHashes: Uint8Array;
}

export interface RemoveEvent {
  slot: number;
  blockHashes: Uint8Array;
}

const wrap = (value: bigint) => BigInt.asUintN(64, value);

function mix(value: bigint): bigint {
  let x = wrap(value + 0x9e37_79b9_7f4a_7c15n);
  x = wrap((x ^ (x >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
  x = wrap((x ^ (x >> 27n)) * 0x94d0_49bb_1331_11ebn);
  return x ^ (x >> 31n);
}

const local = (kind: bigint, a: number, i: number) =>
  mix(0x5354_4131n ^ (kind << 56n) ^ (BigInt(a) << 20n) ^ BigInt(i));

const bytesOf = ({ buffer, byteOffset, byteLength }: BigUint64Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

export class Workload {
  readonly sequences: number;
  readonly #groups: number;
  readonly #slots: number[] = [];
  /** Those of all sequences in one buffer each, as events are views of a frame. */
  readonly #tokens: BigUint64Array;
  readonly #names: BigUint64Array;

  constructor(blocks: number, workers: number) {
    this.sequences = Math.floor(blocks / (HALF + HALF / 16));
    this.#groups = Math.max(1, Math.floor(this.sequences / 16));
    const shared = Array.from({ length: this.#groups }, (_, g) =>
      BigUint64Array.from({ length: HALF }, (_, i) => local(1n, g, i)),
    );
    this.#tokens = new BigUint64Array(this.sequences * PATH);
    this.#names = new BigUint64Array(this.sequences * PATH);
    for (let s = 0; s < this.sequences; s++) {
      const tokens = this.#path(this.#tokens, s);
      tokens.set(shared[s % this.#groups]!);
      for (let i = 0; i < HALF; i++) tokens[HALF + i] = local(2n, s, i);
      let name = 0n;
      const names = this.#path(this.#names, s);
      for (let i = 0; i < PATH; i++) {
        name = mix(wrap(name * 31n + tokens[i]!));
        names[i] = name;
      }
      this.#slots.push(Number(mix(BigInt(s) ^ 0xabcdn) % BigInt(workers)));
    }
  }

  #path(of: BigUint64Array, s: number): BigUint64Array {
    return of.subarray(s * PATH, (s + 1) * PATH);
  }

  stores(): StoreEvent[] {
    return Array.from({ length: this.#names.length / EVENT_BLOCKS }, (_, event) => {
      const at = event * EVENT_BLOCKS;
      return {
        slot: this.#slots[Math.floor(at / PATH)]!,
        parentHash: at % PATH === 0 ? null : bytesOf(this.#names.subarray(at - 1, at)),
        blockHashes: bytesOf(this.#names.subarray(at, at + EVENT_BLOCKS)),
        tokensHashes: bytesOf(this.#tokens.subarray(at, at + EVENT_BLOCKS)),
      };
    });
  }

  queries(count: number, blocks: number): Uint8Array[] {
    // In one buffer, one after the other, like the peer's.
    const all = new BigUint64Array(count * blocks);
    return Array.from({ length: count }, (_, q) => {
      const s = Number(mix(BigInt(q) ^ 0x5eedn) % BigInt(this.sequences));
      const query = all.subarray(q * blocks, (q + 1) * blocks);
      const known = this.#path(this.#tokens, s).subarray(0, blocks);
      query.set(known);
      for (let i = known.length; i < blocks; i++) query[i] = local(3n, q, i);
      return bytesOf(query);
    });
  }

  removes(): RemoveEvent[] {
    return this.#slots.flatMap((slot, s) => {
      if (s % 2 === 1) return [];
      const suffix = this.#path(this.#names, s).slice(HALF).reverse();
      return Array.from({ length: HALF / EVENT_BLOCKS }, (_, chunk) => ({
        slot,
        blockHashes: bytesOf(suffix.subarray(chunk * EVENT_BLOCKS, (chunk + 1) * EVENT_BLOCKS)),
      }));
    });
  }
}
