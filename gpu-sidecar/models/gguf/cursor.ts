/** A little-endian reading position in bytes that never reads past their end. */

/** More bytes are needed than there are. */
export class EndOfBytes extends Error {
  constructor() {
    super('unexpected end of the bytes');
    this.name = 'EndOfBytes';
  }
}

const UTF8 = new TextDecoder('utf-8');

export class ByteCursor {
  at = 0;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Where `length` bytes start; moves past them. */
  take(length: number): number {
    const start = this.at;
    if (start + length > this.bytes.length) throw new EndOfBytes();
    this.at = start + length;
    return start;
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** Counts and offsets; past 2^53 it is no longer exact and thus larger than any bound that follows. */
  u64(): number {
    const start = this.take(8);
    return this.view.getUint32(start, true) + this.view.getUint32(start + 4, true) * 2 ** 32;
  }

  /** A string with its u64 length before it, at most `limitBytes` long. */
  text(limitBytes: number): string {
    const length = this.u64();
    if (length > limitBytes) throw new RangeError(`claims a string of ${length} bytes`);
    const start = this.take(length);
    return UTF8.decode(this.bytes.subarray(start, start + length));
  }
}
