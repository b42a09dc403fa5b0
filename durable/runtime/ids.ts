/**
 * Identifiers: requests are `req_` + UUIDv7 (sortable by time, RFC 9562 §5.7), instances are 64-bit hex.
 *
 * Random bytes are drawn in blocks, because one draw per request costs more than the rest of the id.
 */

const POOL_BYTES = 4096;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export type FillRandom = (bytes: Uint8Array<ArrayBuffer>) => void;

const systemRandom: FillRandom = (bytes) => {
  crypto.getRandomValues(bytes);
};

/** A source of ids; make one per isolate or process, inside a handler (workerd has no randomness at module scope). */
export class IdSource {
  readonly #pool = new Uint8Array(POOL_BYTES);
  readonly #fill: FillRandom;
  #used = POOL_BYTES;

  constructor(fill: FillRandom = systemRandom) {
    this.#fill = fill;
  }

  /** `req_0198c6a2-7b1e-7abc-9def-0123456789ab` */
  requestId(nowMs: number): string {
    return `req_${this.uuidV7(nowMs)}`;
  }

  uuidV7(nowMs: number): string {
    const high = Math.floor(nowMs / 0x1_0000);
    const low = nowMs & 0xffff;
    const at = this.#take(10);
    const r = this.#pool;
    const byte = (offset: number) => HEX[r[at + offset]!]!;
    return (
      `${high.toString(16).padStart(8, '0')}-${low.toString(16).padStart(4, '0')}` +
      `-${HEX[0x70 | (r[at]! & 0x0f)]}${byte(1)}-${HEX[0x80 | (r[at + 2]! & 0x3f)]}${byte(3)}` +
      `-${byte(4)}${byte(5)}${byte(6)}${byte(7)}${byte(8)}${byte(9)}`
    );
  }

  /** 16 lower-case hex digits. */
  instanceId(): string {
    const at = this.#take(8);
    let text = '';
    for (let i = 0; i < 8; i++) text += HEX[this.#pool[at + i]!];
    return text;
  }

  #take(count: number): number {
    if (this.#used + count > POOL_BYTES) {
      this.#fill(this.#pool);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += count;
    return at;
  }
}
