/**
 * Pauses that are shorter than a timer's millisecond, for who has to look whether something has ended: to look in every turn of the
 * event loop would take a processor from those that do the work. One thread of libuv's pool sleeps for all who wait.
 */

import koffi from 'koffi';

export class ShortPause {
  readonly #us: number;
  readonly #sleep = koffi.load('libc.so.6').func('usleep', 'int', ['uint']);
  #waiting: Promise<void> | null = null;

  /** `us`: microseconds. */
  constructor(us: number) {
    this.#us = us;
  }

  /** Resolves after the pause that goes on just now, or a new one. */
  next(): Promise<void> {
    this.#waiting ??= new Promise((resolve) => {
      this.#sleep.async(this.#us, () => {
        this.#waiting = null;
        resolve();
      });
    });
    return this.#waiting;
  }
}
