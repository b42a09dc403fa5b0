/**
 * `cuda-ipc`: two processes on one GPU. The reader's window is device memory that the source opens by its IPC handle; a block goes
 * from the source's host memory over the bus into a place of the window, and from there into the reader's slot. With blocks
 * in host memory at both ends that is one way over the bus more than `shm` needs, so it is used only where the setting
 * names it; it is there for blocks that begin or end on the device. No GPU has run it (docs/decisions/0019).
 *
 * A window has as many places as blocks may be on their way. The source pushes blocks in the order in which they were asked
 * for, and the reader takes them in that order, so both know without a word that the n-th goes to place n modulo
 * their number: a place is asked for again only after its block has been taken out. Only the reader's own copies write into
 * its slots, so these are free as soon as its stream has ended, whatever the source does; device memory that a silent source may
 * still write is kept until that process is dead.
 */

import * as z from 'zod';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { CudaContext } from '../../cuda/context.ts';
import { cudaDevices } from '../../cuda/device.ts';
import { openCuda } from '../../cuda/driver.ts';
import { IPC_HANDLE_BYTES } from '../../cuda/driver-declarations.ts';
import { PeerMemory } from '../../cuda/ipc.ts';
import { type DeviceRange, RegisteredMemory } from '../../cuda/memory.ts';
import { CudaStream } from '../../cuda/stream.ts';
import type { HostArena } from '../../kvbm/tiers/host-arena.ts';
import type { Timers } from '../../timers.ts';
import type { OutgoingBlock, Pusher, PushGrant, TransferBackend, Window } from '../backend.ts';
import { TransferFault, toTransferFault } from '../fault.ts';
import { HostProcess, isAlive, onThisHost, ownProcess } from '../host-process.ts';
import { readOpaque, writeOpaque } from '../opaque.ts';
import { DeviceWindow, DeviceWindows } from './device-windows.ts';

const Announced = z.strictObject({ process: HostProcess, gpu: z.string().max(64) });

const Described = z.strictObject({
  process: HostProcess,
  gpu: z.string().max(64),
  handle: z.string().regex(new RegExp(`^[0-9a-f]{${2 * IPC_HANDLE_BYTES}}$`)),
  places: z.int().min(1).max(65_536),
  blockBytes: z.int().min(1),
});

export class CudaIpcBackend implements TransferBackend {
  readonly name = 'cuda-ipc';
  readonly #arena: HostArena;
  readonly #own: HostProcess;
  readonly #context: CudaContext;
  readonly #pinned: RegisteredMemory;
  readonly #windows: DeviceWindows;
  readonly #timers: Timers;
  /** Windows and pushers that are not closed, and device memory that a silent source may still write. */
  #inUse = 0;
  #leaving = false;

  /** `library`: setting `cudaLibrary`. Throws `backend` saying what this machine lacks. */
  constructor({ arena, library, timers }: { arena: HostArena; library: string; timers: Timers }) {
    const own = ownProcess();
    const cuda = openCuda({ library });
    if (!cuda.ok) throw new TransferFault('backend', cuda.reason);
    if (own === null) throw new TransferFault('backend', 'wants Linux with /proc');
    this.#arena = arena;
    this.#own = own;
    this.#timers = timers;
    this.#context = new CudaContext(cuda.driver, cudaDevices(cuda.driver)[0]!);
    this.#pinned = new RegisteredMemory(this.#context, arena.bytes);
    const places = LIMITS.transferAskedBlocks;
    this.#windows = new DeviceWindows(this.#context, { places, blockBytes: arena.blockBytes });
  }

  announce(): Uint8Array {
    return writeOpaque({ process: this.#own, gpu: this.#context.device.uuid });
  }

  /** null for a source on another host or GPU, and while there is no device memory for one pull more. */
  async offer(announced: Uint8Array): Promise<Window | null> {
    const source = readOpaque(Announced, announced);
    const { uuid } = this.#context.device;
    if (!onThisHost(source.process, this.#own) || !isAlive(source.process) || source.gpu !== uuid)
      return null;
    const memory = this.#windows.take();
    if (memory === null) return null;
    this.#inUse++;
    const { places, blockBytes } = memory;
    const handle = Buffer.from(memory.handle).toString('hex');
    const description = writeOpaque({ process: this.#own, gpu: uuid, handle, places, blockBytes });
    return new IpcWindow(description, {
      memory,
      stream: new CudaStream(this.#context),
      pinned: this.#pinned,
      release: (acknowledged) => this.#release(memory, acknowledged ? null : source.process),
    });
  }

  async open(description: Uint8Array, grant: PushGrant): Promise<Pusher> {
    const { process, gpu, handle, places, blockBytes } = readOpaque(Described, description);
    if (!onThisHost(process, this.#own) || gpu !== this.#context.device.uuid)
      throw new TransferFault('no_backend', 'the reader has another GPU');
    if (blockBytes !== this.#arena.blockBytes)
      throw new TransferFault('protocol', 'a window of another size');
    const bytes = Buffer.from(handle, 'hex');
    const target =
      process.pid === this.#own.pid
        ? DeviceWindow.ofThisProcess(bytes)
        : openPeer(this.#context, { handle: bytes, bytes: places * blockBytes });
    this.#inUse++;
    return new IpcPusher({
      closed: () => this.#unused(),
      target,
      places,
      blockBytes,
      signal: grant.signal,
      stream: new CudaStream(this.#context),
      pinned: this.#pinned,
    });
  }

  /** Pinned memory and context go when nothing uses them: a copy may run, a silent source may write. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving = true;
    this.#inUse++;
    this.#unused();
  }

  #release(memory: DeviceWindow, writer: HostProcess | null): void {
    if (writer !== null && isAlive(writer)) {
      this.#timers.after(LIMITS.transferDeadCheckMs, () => this.#release(memory, writer));
      return;
    }
    this.#windows.giveBack(memory);
    this.#unused();
  }

  #unused(): void {
    this.#inUse--;
    if (!this.#leaving || this.#inUse > 0) return;
    this.#windows.close();
    this.#pinned[Symbol.dispose]();
    this.#context[Symbol.dispose]();
  }
}

type Target = DeviceRange & Disposable;

function openPeer(context: CudaContext, options: { handle: Uint8Array; bytes: number }): Target {
  try {
    return new PeerMemory(context, options);
  } catch (thrown) {
    throw toTransferFault(thrown, 'stale_handle');
  }
}

interface WindowParts {
  memory: DeviceWindow;
  stream: CudaStream;
  pinned: RegisteredMemory;
  release: (acknowledged: boolean) => void;
}

class IpcWindow implements Window {
  readonly description: Uint8Array;
  readonly #parts: WindowParts;
  /** Blocks that were asked for and not taken out, in order, by index. */
  readonly #expected = new Map<number, number>();
  #taken = 0;
  #closed: Promise<void> | null = null;

  constructor(description: Uint8Array, parts: WindowParts) {
    this.description = description;
    this.#parts = parts;
  }

  begin(): Promise<void> {
    return Promise.resolve();
  }

  expect(index: number, { slot }: { slot: number }): void {
    this.#expected.set(index, slot);
  }

  async arrived(index: number): Promise<void> {
    const [first] = this.#expected;
    if (first === undefined || first[0] !== index || this.#closed)
      throw new TransferFault('protocol', `block ${index} is not the next`);
    this.#expected.delete(index);
    const { memory, stream, pinned } = this.#parts;
    const { blockBytes, places } = memory;
    const offset = (this.#taken++ % places) * blockBytes;
    const at = first[1] * blockBytes;
    if (blockBytes <= LIMITS.transferSyncBytes)
      return memory.read(pinned.bytes.subarray(at, at + blockBytes), offset);
    stream.toHost({ memory: pinned, offset: at }, { memory: memory.range, offset }, blockBytes);
    await stream.done();
  }

  close(stopped: AbortSignal): Promise<void> {
    this.#closed ??= this.#close(stopped.aborted);
    return this.#closed;
  }

  async #close(acknowledged: boolean): Promise<void> {
    const { stream, release } = this.#parts;
    // A copy that failed has ended, too; the pull has heard of it where it waited for the block.
    await stream.done().catch(() => {});
    stream[Symbol.dispose]();
    release(acknowledged);
  }
}

interface PusherParts {
  closed: () => void;
  target: Target;
  places: number;
  blockBytes: number;
  signal: AbortSignal;
  stream: CudaStream;
  pinned: RegisteredMemory;
}

class IpcPusher implements Pusher {
  readonly #parts: PusherParts;
  #pushed = 0;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(parts: PusherParts) {
    this.#parts = parts;
  }

  async push(blocks: readonly OutgoingBlock[]): Promise<void> {
    const { blockBytes, pinned, places, signal, stream, target } = this.#parts;
    for (const { served } of blocks) {
      if (signal.aborted) break;
      const offset = (this.#pushed++ % places) * blockBytes;
      const from = { memory: pinned, offset: served.slot * blockBytes };
      stream.toDevice({ memory: target, offset }, from, blockBytes);
    }
    const written = stream.done();
    this.#writing = written.catch(() => {});
    await written;
    if (signal.aborted) throw signal.reason ?? new TransferFault('aborted');
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#parts.stream[Symbol.dispose]();
    this.#parts.target[Symbol.dispose]();
    this.#parts.closed();
  }
}
