/**
 * `shm`: two processes of one user on one host. The reader's host memory is a memfd that the source maps; a block is one
 * copy, from the source's slot into the reader's. Nothing is left when either is killed: a memfd goes with those who have it.
 *
 * A source that is stopped in the middle of a copy may go on with it later: until it has said that it stopped, or is
 * dead, the reader keeps the slots (`slot-window.ts`).
 */

import koffi from 'koffi';
import * as z from 'zod';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { HostArena } from '../../kvbm/tiers/host-arena.ts';
import type { Timers } from '../../timers.ts';
import type { OutgoingBlock, Pusher, PushGrant, TransferBackend, Window } from '../backend.ts';
import { TransferFault } from '../fault.ts';
import { HostProcess, isAlive, onThisHost, ownProcess, whenGone } from '../host-process.ts';
import { readOpaque, writeOpaque } from '../opaque.ts';
import { SlotWindow } from '../slot-window.ts';
import { type MappedWindow, MappedWindows } from './mapped-window.ts';

const Described = z.strictObject({
  process: HostProcess,
  fd: z.int().min(0),
  name: z.string().regex(/^stator-kv-[0-9a-f]{32}$/),
  bytes: z.int().min(1),
  blockBytes: z.int().min(1),
});

type Copy = (to: Uint8Array, from: Uint8Array) => Promise<void>;

export class ShmBackend implements TransferBackend {
  readonly name = 'shm';
  readonly #arena: HostArena;
  readonly #own: HostProcess;
  readonly #timers: Timers;
  readonly #windows = new MappedWindows();
  readonly #copy: Copy;

  /** Throws `backend` saying what this machine or arena lacks. */
  constructor(arena: HostArena, timers: Timers) {
    const own = ownProcess();
    if (own === null || process.platform !== 'linux')
      throw new TransferFault('backend', 'wants Linux with /proc');
    if (arena.shared === null) throw new TransferFault('backend', 'host memory is not shared memory here');
    this.#arena = arena;
    this.#own = own;
    this.#timers = timers;
    this.#copy = copyAside();
  }

  announce(): Uint8Array {
    return writeOpaque(this.#own);
  }

  /** null for a source on another host. */
  async offer(announced: Uint8Array): Promise<Window | null> {
    const source = readOpaque(HostProcess, announced);
    if (!onThisHost(source, this.#own) || !isAlive(source)) return null;
    const { fd, name } = this.#arena.shared!;
    const { blockBytes, bytes } = this.#arena;
    const description = { process: this.#own, fd, name, bytes: bytes.length, blockBytes };
    return new SlotWindow(writeOpaque(description), (stopped) =>
      whenGone(source, { own: this.#own, stopped, timers: this.#timers }),
    );
  }

  async open(description: Uint8Array, grant: PushGrant): Promise<Pusher> {
    const file = readOpaque(Described, description);
    if (!onThisHost(file.process, this.#own))
      throw new TransferFault('no_backend', 'the reader is elsewhere');
    return new ShmPusher(this.#windows.use(file), file.blockBytes, grant.signal, this.#copy);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#windows.close();
  }
}

class ShmPusher implements Pusher {
  readonly #window: MappedWindow;
  readonly #blockBytes: number;
  readonly #signal: AbortSignal;
  readonly #copy: Copy;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(window: MappedWindow, blockBytes: number, signal: AbortSignal, copy: Copy) {
    this.#window = window;
    this.#blockBytes = blockBytes;
    this.#signal = signal;
    this.#copy = copy;
  }

  push(blocks: readonly OutgoingBlock[]): Promise<void> {
    const writing = this.#push(blocks);
    this.#writing = writing.catch(() => {});
    return writing;
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#window[Symbol.dispose]();
  }

  /** One after the other: small ones are copied here, and others get their turn of the event loop now and then. */
  async #push(blocks: readonly OutgoingBlock[]): Promise<void> {
    let copied = 0;
    for (const { served, slot } of blocks) {
      if (this.#signal.aborted) throw this.#signal.reason ?? new TransferFault('aborted');
      const start = slot * this.#blockBytes;
      if (served.bytes.length !== this.#blockBytes || start + this.#blockBytes > this.#window.bytes.length)
        throw new TransferFault('protocol', `slot ${slot} is not in the window`);
      const to = this.#window.bytes.subarray(start, start + this.#blockBytes);
      copied += to.length;
      if (to.length > LIMITS.transferSyncBytes) await this.#copy(to, served.bytes);
      else {
        to.set(served.bytes);
        if (copied % LIMITS.transferSyncBytes < to.length)
          await new Promise((resolve) => setImmediate(resolve));
      }
    }
    if (this.#signal.aborted) throw this.#signal.reason ?? new TransferFault('aborted');
  }
}

/** On a thread of libuv's pool, where the event loop does not wait for it. */
function copyAside(): Copy {
  const pointer = koffi.pointer('uint8');
  const memcpy = koffi.load('libc.so.6').func('memcpy', pointer, [pointer, pointer, 'size_t']);
  return (to, from) =>
    new Promise((resolve, reject) => {
      memcpy.async(to, from, from.length, (error: Error | null) => (error ? reject(error) : resolve()));
    });
}
