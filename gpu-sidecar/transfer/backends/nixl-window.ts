/**
 * The reader's end of `nixl`: a block has arrived when the notification of its write has. The source says over gRPC when to look, so
 * nobody looks for notifications while there can be none.
 */

import type { Window } from '../backend.ts';
import { TransferFault } from '../fault.ts';

interface Parts {
  description: Uint8Array;
  /** Where notifications find their window, by capability. */
  windows: Map<string, NixlWindow>;
  /** Takes in the notifications that have come. */
  hear: () => void;
  writersGone: (stopped: AbortSignal) => Promise<void>;
}

export class NixlWindow implements Window {
  readonly description: Uint8Array;
  readonly #parts: Parts;
  readonly #heard = new Set<number>();
  #key: string | null = null;
  #closed = false;
  #listening: Promise<void> | null = null;

  constructor(parts: Parts) {
    this.description = parts.description;
    this.#parts = parts;
  }

  begin(capability: Uint8Array): Promise<void> {
    const key = Buffer.from(capability).toString('hex');
    this.#parts.windows.set(key, this);
    this.#key = key;
    return Promise.resolve();
  }

  expect(): void {}

  heard(indexes: Iterable<number>): void {
    for (const index of indexes) this.#heard.add(index);
  }

  async arrived(index: number): Promise<void> {
    while (!this.#heard.delete(index)) {
      if (this.#closed) throw new TransferFault('aborted');
      await this.#listen();
    }
  }

  close(stopped: AbortSignal): Promise<void> {
    this.#closed = true;
    if (this.#key) this.#parts.windows.delete(this.#key);
    return this.#parts.writersGone(stopped);
  }

  /** Looks once in a turn of the event loop, however many wait. */
  #listen(): Promise<void> {
    this.#listening ??= new Promise((resolve) => setImmediate(resolve)).then(() => {
      this.#listening = null;
      if (!this.#closed) this.#parts.hear();
    });
    return this.#listening;
  }
}
