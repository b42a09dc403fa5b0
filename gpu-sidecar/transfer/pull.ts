/**
 * One pull at the reading end: offer windows, ask for a bounded number of blocks ahead, and compare each one's bytes with its
 * checksum before it counts. A source that says nothing for LIMITS.transferSilenceMs has stalled.
 *
 * A slot whose block has not come is given back when nothing can write it any more: at once when the source has said that it
 * stopped, else when the window says so (the source's process is dead, its connection closed), which may be after the
 * pull has ended. Until then it counts as quarantined.
 */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { BlockIdentity } from '../kvbm/block.ts';
import { blockBytes } from '../kvbm/layout.ts';
import { blockChecksumAside } from '../kvbm/tiers/checksum.ts';
import { type PullAnswer, type PullRequest, PullRequestSchema } from '../proto/gen/stator/v1/kv_pb.js';
import type { Timers } from '../timers.ts';
import type { BackendName, Window } from './backend.ts';
import type { BlockReceiver, ReceivingBlock } from './blocks.ts';
import { isTransferFault, TransferFault, toTransferFault } from './fault.ts';
import { callFault } from './peer.ts';
import type { TransferMetrics } from './transfer-metrics.ts';
import { layoutToWire, type Wanted, wantedToWire } from './wire.ts';

export interface Offer {
  backend: BackendName;
  window: Window;
}

export interface PullParts {
  blocks: readonly BlockIdentity[];
  receiver: BlockReceiver;
  metrics: TransferMetrics;
  timers: Timers;
  signal: AbortSignal;
  onProgress: (leadingBlocks: number) => void;
}

type Stream = ClientDuplexStream<PullRequest, PullAnswer>;
type Request = NonNullable<MessageInitShape<typeof PullRequestSchema>['request']>;

export class Pull {
  readonly #parts: PullParts;
  /** Blocks on their way, by index. */
  readonly #receiving = new Map<number, ReceivingBlock>();
  readonly #there: boolean[] = [];
  readonly #ending = Promise.withResolvers<never>();
  /** The next block to ask for. */
  #next = 0;
  /** Blocks that may be on their way at once. */
  readonly #mostAsked: number;
  /** Blocks that are being compared. */
  readonly #checks = new Set<Promise<void>>();
  #noRoom = false;
  /** Aborts when the source has said that it writes no more. */
  readonly #sourceStopped = new AbortController();
  /** Nothing more is heard of the source. */
  #deaf = false;
  /** Called when the source has stopped, or nothing more will be heard of it. */
  #settled: () => void = () => {};
  backend: BackendName | null = null;
  leading = 0;
  bytes = 0;

  constructor(parts: PullParts) {
    this.#parts = parts;
    const fit = Math.floor(LIMITS.transferAskedBytes / blockBytes(parts.receiver.layout));
    this.#mostAsked = Math.min(Math.max(fit, 2), LIMITS.transferAskedBlocks);
    this.#ending.promise.catch(() => {});
    parts.signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** Takes the first slots; false when all blocks are there already. Throws `aborted`, and `no_room` when there is none at all. */
  reserve(): boolean {
    if (this.#parts.signal.aborted) throw new TransferFault('aborted');
    this.#reserve();
    if (this.#receiving.size === 0 && this.#noRoom) throw new TransferFault('no_room');
    return this.#receiving.size > 0;
  }

  /** Gives back slots that were taken and that no source has heard of; none are left after `run`. */
  release(): void {
    this.#parts.signal.removeEventListener('abort', this.#abort);
    for (const receiving of this.#receiving.values()) receiving[Symbol.dispose]();
    this.#receiving.clear();
  }

  /** The result, or how the pull has ended meanwhile. */
  orEnded<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#ending.promise]);
  }

  /** Throws the fault that ended it; afterwards no slot is left with us, but for those in quarantine. */
  async run(
    stream: Stream,
    offers: readonly Offer[],
    to: { instanceId: string; epoch: bigint },
  ): Promise<void> {
    const { layout } = this.#parts.receiver;
    const answers = this.#listen(stream);
    const say = (request: Request) => void stream.write(create(PullRequestSchema, { request }));
    let window: Window | null = null;
    let cancelRenewal = () => {};
    try {
      const windows = offers.map(({ backend, window: { description } }) => ({
        name: backend,
        metadata: description,
      }));
      const leaseMs = LIMITS.transferLeaseMs;
      say({
        case: 'open',
        value: {
          readerInstanceId: to.instanceId,
          sourceEpoch: to.epoch,
          layout: layoutToWire(layout),
          leaseMs,
          windows,
        },
      });
      const granted = await this.orEnded(answers.granted);
      const taken = offers.find(({ backend }) => backend === granted.backend);
      if (taken === undefined)
        throw new TransferFault('protocol', `backend ${granted.backend} was not offered`);
      window = taken.window;
      this.backend = taken.backend;
      cancelRenewal = this.#renew(Math.max(granted.leaseMs / 3, 1), () => say({ case: 'renew', value: {} }));
      await this.orEnded(window.begin(granted.capability, this.#parts.signal));
      answers.begin(window, (wanted) => say({ case: 'blocks', value: { blocks: wanted.map(wantedToWire) } }));
      await this.orEnded(answers.all);
      if (this.#noRoom) throw new TransferFault('no_room');
    } finally {
      cancelRenewal();
      answers.stop();
      await this.#end(stream, offers, window, () => say({ case: 'release', value: {} }));
    }
  }

  /** Hears the source; `begin` asks for the first blocks. */
  #listen(stream: Stream) {
    const { timers } = this.#parts;
    const granted = Promise.withResolvers<{ capability: Uint8Array; backend: string; leaseMs: number }>();
    const all = Promise.withResolvers<void>();
    const begun = { window: null as Window | null, ask: (_: Wanted[]) => {} };
    let cancelSilence = () => {};
    let over = false;
    const heard = () => {
      cancelSilence();
      if (over) return;
      cancelSilence = timers.after(LIMITS.transferSilenceMs, () => this.#fail(new TransferFault('stalled')));
    };
    heard();
    const advance = () => {
      if (over) return;
      // Many at a time: a message for each would cost more than the block.
      if (this.#receiving.size <= this.#mostAsked / 2) this.#ask(this.#reserve(), begun);
      if (this.#receiving.size === 0 && this.#checks.size === 0) all.resolve();
    };
    stream.on('data', ({ answer }: PullAnswer) => {
      heard();
      if (answer.case === 'granted') granted.resolve(answer.value);
      else if (answer.case === 'ended') {
        this.#sourceStopped.abort();
        this.#settled();
        const { fault, message } = answer.value;
        const name = isTransferFault(fault) ? fault : 'protocol';
        const told = new TransferFault(name, `told by the peer: ${message}`);
        // What it said had arrived before that counts.
        if (fault !== '') void Promise.allSettled(this.#checks).then(() => this.#fail(told));
      } else if (answer.case === 'arrived') {
        for (const { index, checksum } of answer.value.blocks) {
          if (begun.window === null)
            return this.#fail(new TransferFault('protocol', 'arrived before granted'));
          const check = this.#take(index, checksum, begun.window);
          this.#checks.add(check);
          check
            .catch((thrown: unknown) => this.#fail(toTransferFault(thrown, 'backend')))
            .then(() => {
              this.#checks.delete(check);
              advance();
            });
        }
      }
    });
    stream.on('error', (error: ServiceError) => {
      this.#deaf = true;
      this.#settled();
      this.#fail(callFault(error));
    });
    stream.on('end', () => {
      this.#deaf = true;
      this.#settled();
      this.#fail(new TransferFault('unreachable', 'the peer hung up'));
    });
    return {
      /** Nothing is asked for or waited for any more. */
      stop: () => {
        over = true;
        cancelSilence();
      },
      granted: granted.promise,
      all: all.promise,
      begin: (window: Window, ask: (wanted: Wanted[]) => void) => {
        begun.window = window;
        begun.ask = ask;
        const first = [...this.#receiving].map(([index, { slot }]) => this.#wanted(index, slot));
        this.#ask(first, begun);
      },
    };
  }

  #ask(wanted: Wanted[], { window, ask }: { window: Window | null; ask: (wanted: Wanted[]) => void }): void {
    if (wanted.length === 0 || window === null) return;
    for (const { index } of wanted) window.expect(index, this.#receiving.get(index)!);
    ask(wanted);
  }

  #wanted = (index: number, slot: number): Wanted => ({
    index,
    slot,
    identity: this.#parts.blocks[index]!,
  });

  /** Takes slots for the next blocks, as many as may be on their way; those are to be asked for. */
  #reserve(): Wanted[] {
    const { blocks, receiver } = this.#parts;
    const wanted: Wanted[] = [];
    while (this.#next < blocks.length && this.#receiving.size < this.#mostAsked && !this.#noRoom) {
      const receiving = receiver.receive(blocks[this.#next]!);
      if (receiving === null) this.#noRoom = true;
      else {
        const index = this.#next++;
        if (receiving === 'present') this.#count(index);
        else {
          this.#receiving.set(index, receiving);
          wanted.push(this.#wanted(index, receiving.slot));
        }
      }
    }
    return wanted;
  }

  /** Takes a block for the pool when its bytes are right. */
  async #take(index: number, checksum: bigint, window: Window): Promise<void> {
    const receiving = this.#receiving.get(index);
    if (receiving === undefined) throw new TransferFault('protocol', `block ${index} was not asked for`);
    await window.arrived(index);
    const { hash } = this.#parts.blocks[index]!;
    if ((await blockChecksumAside(hash, receiving.bytes)) !== checksum)
      throw new TransferFault('checksum', `block ${index}`);
    // Ended while it was compared: the slot is given back with the others.
    if (this.#receiving.get(index) !== receiving) return;
    this.#receiving.delete(index);
    const { length } = receiving.bytes;
    receiving.complete(checksum);
    receiving[Symbol.dispose]();
    this.bytes += length;
    this.#parts.metrics.moved('reader', this.backend!, { blocks: 1, bytes: length });
    this.#count(index);
  }

  #count(index: number): void {
    this.#there[index] = true;
    const before = this.leading;
    while (this.#there[this.leading]) this.leading++;
    if (this.leading > before) this.#parts.onProgress(this.leading);
  }

  #abort = (): void => this.#fail(toTransferFault(this.#parts.signal.reason, 'aborted'));

  #fail(fault: TransferFault): void {
    this.#ending.reject(fault);
  }

  #renew(everyMs: number, renew: () => void): () => void {
    let cancel = () => {};
    const again = () => {
      cancel = this.#parts.timers.after(everyMs, () => {
        renew();
        again();
      });
    };
    again();
    return () => cancel();
  }

  /** Releases, hears whether the source has stopped, and gives the slots back when nothing writes them any more. */
  async #end(
    stream: Stream,
    offers: readonly Offer[],
    used: Window | null,
    release: () => void,
  ): Promise<void> {
    const { metrics, timers } = this.#parts;
    const left = [...this.#receiving.values()];
    this.#receiving.clear();
    const stopped = this.#sourceStopped.signal;
    if (!stopped.aborted && !this.#deaf) {
      const settled = new Promise<void>((resolve) => {
        this.#settled = resolve;
      });
      release();
      const cancel = timers.after(LIMITS.transferStopMs, () => this.#settled());
      await settled;
      cancel();
    }
    for (const { window } of offers) if (window !== used) await window.close(AbortSignal.abort());
    // Before blocks were asked for, the source knew no slot to write. A source that is slow to stop is listened to until then.
    const closed = (used?.close(stopped) ?? Promise.resolve()).then(() => {
      stream.cancel();
      return Promise.allSettled(this.#checks);
    });
    if (left.length === 0) {
      await Promise.allSettled(this.#checks);
      return;
    }
    if (stopped.aborted) {
      await closed;
      for (const receiving of left) receiving[Symbol.dispose]();
      return;
    }
    metrics.quarantined(left.length);
    void closed.then(() => {
      for (const receiving of left) receiving[Symbol.dispose]();
      metrics.quarantined(-left.length);
    });
  }
}
