/**
 * Cuts a file that comes in pieces into its lines, with the place of each. Lines end with a line feed, the last one with the
 * file. Holds at most one unfinished line; one that is too long is told as such and its bytes are dropped.
 */

export interface CutLine {
  /** Of its first byte in the file. */
  start: number;
  length: number;
  /** null: too long. */
  bytes: Uint8Array | null;
}

const LINE_FEED = 0x0a;

export class LineCutter {
  readonly #mostBytes: number;
  /** What came of the unfinished line. */
  #parts: Uint8Array[] = [];
  #length = 0;
  #start = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** The lines that end in this piece. */
  push(piece: Uint8Array): CutLine[] {
    const lines: CutLine[] = [];
    let from = 0;
    for (let at = piece.indexOf(LINE_FEED); at >= 0; at = piece.indexOf(LINE_FEED, from)) {
      this.#add(piece.subarray(from, at));
      lines.push(this.#take());
      // The line feed itself.
      this.#start++;
      from = at + 1;
    }
    this.#add(piece.subarray(from));
    return lines;
  }

  /** What stands behind the last line feed; null: nothing. */
  end(): CutLine | null {
    return this.#length === 0 ? null : this.#take();
  }

  #add(bytes: Uint8Array): void {
    this.#length += bytes.byteLength;
    if (this.#length > this.#mostBytes) this.#parts = [];
    else if (bytes.byteLength > 0) this.#parts.push(bytes);
  }

  #take(): CutLine {
    const length = this.#length;
    const start = this.#start;
    const bytes = length > this.#mostBytes ? null : joined(this.#parts, length);
    this.#parts = [];
    this.#length = 0;
    this.#start = start + length;
    return { start, length, bytes };
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}
