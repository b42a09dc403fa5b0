/**
 * `nixl`: NVIDIA's transfer library, over whatever its UCX finds between two machines (RDMA, shared memory, TCP). The window is
 * the reader's host memory, registered with its agent; the source's agent writes granted blocks into it, and a notification
 * with the capability and the blocks' indexes follows each write. The reader's agent never gets the source's metadata, so no reader
 * can reach a source's memory.
 *
 * A source that fell silent may still write: its slots are kept until its process is dead or, on another host, until a
 * write that nobody acknowledges has failed by itself (LIMITS.transferQuarantineMs, docs/decisions/0016).
 */

import * as z from 'zod';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { HostArena } from '../../kvbm/tiers/host-arena.ts';
import type { Timers } from '../../timers.ts';
import type { OutgoingBlock, Pusher, PushGrant, TransferBackend, Window } from '../backend.ts';
import { CAPABILITY_BYTES } from '../backend.ts';
import { TransferFault } from '../fault.ts';
import { HostProcess, ownProcess, whenGone } from '../host-process.ts';
import { readOpaque, writeOpaque } from '../opaque.ts';
import { NixlAgent, type NixlWrite } from './nixl-agent.ts';
import { loadNixl } from './nixl-api.ts';
import { findNixlLibrary } from './nixl-library.ts';
import { NixlWindow } from './nixl-window.ts';
import { ShortPause } from './short-pause.ts';

const Announced = z.strictObject({ process: HostProcess.nullable() });
const Described = z.strictObject({
  agent: z.string().regex(/^stator-[0-9a-f]{24}$/),
  metadata: z.base64(),
  address: z.string().regex(/^\d{1,20}$/),
  bytes: z.int().min(1),
  blockBytes: z.int().min(1),
});
type Described = z.output<typeof Described>;

export class NixlBackend implements TransferBackend {
  readonly name = 'nixl';
  readonly #agent: NixlAgent;
  readonly #arena: HostArena & { address: bigint };
  readonly #timers: Timers;
  readonly #own = ownProcess();
  /** Windows that blocks are expected in, by capability. */
  readonly #windows = new Map<string, NixlWindow>();
  readonly #readers: KnownReaders;
  readonly #pause = new ShortPause(LIMITS.nixlPauseUs);

  /** `library`: the setting. Throws `backend` saying what is missing. */
  constructor({ arena, library, timers }: { arena: HostArena; library: string; timers: Timers }) {
    if (arena.address === null)
      throw new TransferFault('backend', 'host memory is too small to be registered');
    this.#arena = arena as HostArena & { address: bigint };
    this.#timers = timers;
    this.#agent = new NixlAgent(loadNixl(findNixlLibrary(library)), this.#arena);
    this.#readers = new KnownReaders(this.#agent);
  }

  announce(): Uint8Array {
    return writeOpaque({ process: this.#own });
  }

  async offer(announced: Uint8Array): Promise<Window | null> {
    const { process } = readOpaque(Announced, announced);
    const description = {
      agent: this.#agent.name,
      metadata: Buffer.from(this.#agent.metadata).toString('base64'),
      address: String(this.#arena.address),
      bytes: this.#arena.bytes.length,
      blockBytes: this.#arena.blockBytes,
    };
    return new NixlWindow({
      description: writeOpaque(description),
      windows: this.#windows,
      hear: () => this.#hear(),
      writersGone: (stopped) => whenGone(process, { own: this.#own, stopped, timers: this.#timers }),
    });
  }

  async open(description: Uint8Array, grant: PushGrant): Promise<Pusher> {
    const reader = readOpaque(Described, description);
    this.#readers.load(reader);
    return new NixlPusher({
      reader,
      agent: this.#agent,
      grant,
      timers: this.#timers,
      pause: this.#pause,
      base: this.#arena,
      lost: () => this.#readers.forget(reader.agent),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.close();
  }

  /** Notifications of every window of this process come in one place. */
  #hear(): void {
    for (const { message } of this.#agent.notifications()) {
      const capability = Buffer.from(message.subarray(0, CAPABILITY_BYTES)).toString('hex');
      this.#windows.get(capability)?.heard(readIndexes(message));
    }
  }
}

function writeMessage(capability: Uint8Array, blocks: readonly OutgoingBlock[]): Uint8Array {
  const indexes = Uint32Array.from(blocks, ({ index }) => index);
  return Buffer.concat([capability, new Uint8Array(indexes.buffer)]);
}

const readIndexes = (message: Uint8Array): Uint32Array =>
  new Uint32Array(message.slice(CAPABILITY_BYTES, message.length - (message.length % 4)).buffer);

/** Agents of readers that ours has loaded, bounded; the least recently used goes. */
class KnownReaders {
  readonly #agent: NixlAgent;
  readonly #loaded = new Map<string, string>();

  constructor(agent: NixlAgent) {
    this.#agent = agent;
  }

  load({ agent, metadata }: Described): void {
    if (this.#loaded.get(agent) === metadata) return;
    this.forget(agent);
    const [oldest] = this.#loaded.keys();
    if (this.#loaded.size >= LIMITS.transferMappings && oldest) this.forget(oldest);
    if (this.#agent.load(Buffer.from(metadata, 'base64')) !== agent)
      throw new TransferFault('protocol', 'a window with the metadata of another agent');
    this.#loaded.set(agent, metadata);
  }

  forget(agent: string): void {
    if (this.#loaded.delete(agent)) this.#agent.forget(agent);
  }
}

interface PusherParts {
  reader: Described;
  agent: NixlAgent;
  grant: PushGrant;
  timers: Timers;
  pause: ShortPause;
  base: HostArena & { address: bigint };
  lost: () => void;
}

class NixlPusher implements Pusher {
  readonly #parts: PusherParts;
  #writing: Promise<void> = Promise.resolve();

  constructor(parts: PusherParts) {
    this.#parts = parts;
  }

  push(blocks: readonly OutgoingBlock[]): Promise<void> {
    this.#writing = this.#push(blocks);
    return this.#writing;
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {});
  }

  async #push(blocks: readonly OutgoingBlock[]): Promise<void> {
    const { agent, base, grant, lost, reader } = this.#parts;
    const ranges = blocks.map(({ served, slot }) => {
      const bytes = served.bytes.length;
      const start = slot * reader.blockBytes;
      if (bytes !== reader.blockBytes || start + bytes > reader.bytes)
        throw new TransferFault('protocol', `slot ${slot} is not in the window`);
      const from = base.address + BigInt(served.slot * base.blockBytes);
      return { from, to: BigInt(reader.address) + BigInt(start), bytes };
    });
    if (grant.signal.aborted) throw grant.signal.reason ?? new TransferFault('aborted');
    try {
      const write = agent.write(reader.agent, ranges, writeMessage(grant.capability, blocks));
      try {
        await this.#ended(write);
      } finally {
        write.free();
      }
    } catch (thrown) {
      // The connection is of no use any more: the next pull of this reader makes another.
      lost();
      throw thrown;
    }
    if (grant.signal.aborted) throw grant.signal.reason ?? new TransferFault('aborted');
  }

  /**
   * NIXL tells only who asks, so it is asked again and again. A write goes on when its grant has ended: the blocks
   * are held until it has ended too, for UCX notices a dead reader by itself, or until it is given up.
   */
  async #ended(write: NixlWrite): Promise<void> {
    let givenUp = false;
    let cancel = () => {};
    const { signal } = this.#parts.grant;
    const giveUp = () => {
      cancel = this.#parts.timers.after(LIMITS.transferStopMs, () => {
        givenUp = true;
      });
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    try {
      while (!write.poll()) {
        if (givenUp) throw new TransferFault('stalled', 'a write that does not end');
        await this.#parts.pause.next();
      }
    } finally {
      cancel();
      signal.removeEventListener('abort', giveUp);
    }
  }
}
