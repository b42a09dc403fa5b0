/**
 * A window that is the reader's host memory itself (`shm`, `nixl`): the source writes into the slots, so a block has arrived
 * when the source says so, and a source that fell silent may still write. Its slots are free when it has said that it
 * stopped, or when `writersGone` says that nobody is left to write.
 */

import type { Window } from './backend.ts';

export class SlotWindow implements Window {
  readonly description: Uint8Array;
  readonly #writersGone: (stopped: AbortSignal) => Promise<void>;

  constructor(description: Uint8Array, writersGone: (stopped: AbortSignal) => Promise<void>) {
    this.description = description;
    this.#writersGone = writersGone;
  }

  begin(): Promise<void> {
    return Promise.resolve();
  }

  expect(): void {}

  arrived(): Promise<void> {
    return Promise.resolve();
  }

  close(stopped: AbortSignal): Promise<void> {
    return this.#writersGone(stopped);
  }
}
