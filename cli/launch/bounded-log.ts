/**
 * A log file that cannot fill the disk: past its bound it becomes `<file>.1`, the one before is dropped, and a new one
 * begins. Writes are synchronous: a child writes a line now and then, and its last words must not be lost.
 */

import { appendFileSync, renameSync, statSync } from 'node:fs';

const LOG_BYTES = 8 * 1024 * 1024;

export class BoundedLog {
  readonly #file: string;
  readonly #maxBytes: number;
  #bytes: number;

  constructor(file: string, maxBytes: number = LOG_BYTES) {
    this.#file = file;
    this.#maxBytes = maxBytes;
    this.#bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  }

  write(text: string | Uint8Array): void {
    if (this.#bytes >= this.#maxBytes) {
      renameSync(this.#file, `${this.#file}.1`);
      this.#bytes = 0;
    }
    appendFileSync(this.#file, text);
    this.#bytes += Buffer.byteLength(text);
  }
}
