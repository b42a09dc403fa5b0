/**
 * The serving end: what this worker says of itself, and one pull after another. Blocks are looked up a few ahead of the one
 * that is pushed (`whenHeld` has them copied down early), those that are ready go together, and each is held only until it is
 * pushed. However a pull ends, it holds nothing afterwards and says `Ended` when nothing is written any more.
 */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { blockBytes, requireSameLayout } from '../kvbm/layout.ts';
import {
  type PullAnswer,
  PullAnswerSchema,
  type PullOpen,
  type PullRequest,
  type TransferMetadataResponse,
  TransferMetadataResponseSchema,
} from '../proto/gen/stator/v1/kv_pb.js';
import type { Timers } from '../timers.ts';
import type { OutgoingBlock, Pusher, TransferBackend } from './backend.ts';
import type { BlockServer, ServedBlock } from './blocks.ts';
import { TransferFault, toTransferFault } from './fault.ts';
import type { Grant, GrantBook } from './grants.ts';
import type { TransferMetrics } from './transfer-metrics.ts';
import { layoutFromWire, layoutToWire, type Wanted, wantedFromWire } from './wire.ts';

export interface SourceOptions {
  instanceId: string;
  /** Of this life of the process. */
  epoch: bigint;
  blocks: BlockServer;
  /** In order of preference. */
  backends: readonly TransferBackend[];
  grants: GrantBook;
  metrics: TransferMetrics;
  timers: Timers;
}

/** The reader's end of a pull, whatever carries it. */
export interface PullStream {
  readonly requests: AsyncIterable<PullRequest>;
  /** Aborts when the reader is gone. */
  readonly gone: AbortSignal;
  send(answer: PullAnswer): void;
}

type Answer = NonNullable<MessageInitShape<typeof PullAnswerSchema>['answer']>;

export class BlockSource {
  readonly #options: SourceOptions;

  constructor(options: SourceOptions) {
    this.#options = options;
  }

  metadata(): TransferMetadataResponse {
    const { instanceId, epoch, blocks, backends } = this.#options;
    return create(TransferMetadataResponseSchema, {
      instanceId,
      epoch,
      layout: layoutToWire(blocks.layout),
      backends: backends.map((backend) => ({ name: backend.name, metadata: backend.announce() })),
    });
  }

  /** Resolves when the pull has ended and nothing is held or written for it. Never throws. */
  async serve(stream: PullStream): Promise<void> {
    const say = (answer: Answer) => {
      if (!stream.gone.aborted) stream.send(create(PullAnswerSchema, { answer }));
    };
    const requests = stream.requests[Symbol.asyncIterator]();
    let backend: TransferBackend | null = null;
    try {
      const first = await requests.next();
      if (first.done || first.value.request.case !== 'open')
        throw new TransferFault('protocol', 'a pull begins with Open');
      const { grant, pusher, taken } = await this.#open(first.value.request.value);
      backend = taken;
      const { capability, leaseMs } = grant;
      say({ case: 'granted', value: { capability, backend: taken.name, leaseMs } });
      await this.#run({ requests, stream, grant, pusher, backend: taken, say });
      say({ case: 'ended', value: {} });
    } catch (thrown) {
      const fault = toTransferFault(thrown, 'backend');
      this.#options.metrics.fault('source', backend?.name ?? null, fault.fault);
      say({ case: 'ended', value: { fault: fault.fault, message: fault.message } });
    }
  }

  async #open(open: PullOpen): Promise<{ grant: Grant; pusher: Pusher; taken: TransferBackend }> {
    const { backends, blocks, epoch, grants } = this.#options;
    if (open.sourceEpoch !== epoch)
      throw new TransferFault('stale_handle', 'the metadata is of another life of this worker');
    requireSameLayout(blocks.layout, layoutFromWire(open.layout));
    const grant = grants.open(open.leaseMs);
    let refusal: unknown = new TransferFault('no_backend');
    for (const { name, metadata } of open.windows.slice(0, backends.length)) {
      const taken = backends.find((backend) => backend.name === name);
      if (taken === undefined) continue;
      try {
        if (metadata.length > LIMITS.transferMetadataBytes)
          throw new TransferFault('protocol', 'the window is described at too great length');
        return { grant, pusher: await taken.open(metadata, grant), taken };
      } catch (thrown) {
        refusal = thrown;
      }
    }
    grant.end(null);
    throw refusal;
  }

  async #run(pull: Pull): Promise<void> {
    const { grant, stream } = pull;
    const gone = () => grant.end(new TransferFault('unreachable', 'the reader is gone'));
    stream.gone.addEventListener('abort', gone, { once: true });
    if (stream.gone.aborted) gone();
    const queue = new WantedQueue(grant.signal);
    const heard = this.#hear(pull, queue).catch((thrown: unknown) =>
      grant.end(toTransferFault(thrown, 'unreachable')),
    );
    try {
      await this.#push(pull, queue);
    } catch (thrown) {
      grant.end(toTransferFault(thrown, 'backend'));
    }
    await pull.pusher.close();
    stream.gone.removeEventListener('abort', gone);
    void heard;
    if (grant.signal.reason !== null) throw grant.signal.reason;
  }

  /** Takes what the reader says until it wants no more. */
  async #hear({ requests, grant }: Pull, queue: WantedQueue): Promise<void> {
    for (;;) {
      const { done, value } = await requests.next();
      if (done) throw new TransferFault('unreachable', 'the reader hung up');
      grant.renew();
      const { request } = value;
      if (request.case === 'release') return grant.end(null);
      if (request.case === 'blocks') queue.add(request.value.blocks.map(wantedFromWire));
      else if (request.case !== 'renew') throw new TransferFault('protocol', `${request.case} in a pull`);
    }
  }

  /** Until the grant ends, which is no fault of its own. */
  async #push({ grant, pusher, backend, say }: Pull, queue: WantedQueue): Promise<void> {
    const { metrics } = this.#options;
    const ahead: Prepared[] = [];
    try {
      while (!grant.signal.aborted) {
        this.#prepare(ahead, queue, grant.signal);
        if (ahead.length === 0) {
          await this.#orBeat(queue.whenAny(), say);
          continue;
        }
        await this.#orBeat(ahead[0]!.whenReady, say);
        if (grant.signal.aborted) return;
        const batch = takeReady(ahead);
        if (batch.length === 0) throw new TransferFault('missing', `block ${ahead[0]!.wanted.index}`);
        const bytes = batch.reduce((sum, { served }) => sum + served.bytes.length, 0);
        try {
          await pusher.push(batch);
          const blocks = batch.map(({ index, served }) => ({ index, checksum: served.checksum }));
          say({ case: 'arrived', value: { blocks } });
          metrics.moved('source', backend.name, { blocks: batch.length, bytes });
        } finally {
          for (const { served } of batch) served[Symbol.dispose]();
          metrics.held(-batch.length);
        }
      }
    } finally {
      for (const { whenReady } of ahead) void whenReady.then((served) => this.#letGo(served));
    }
  }

  #letGo(served: ServedBlock | null): void {
    if (served === null) return;
    served[Symbol.dispose]();
    this.#options.metrics.held(-1);
  }

  #prepare(ahead: Prepared[], queue: WantedQueue, signal: AbortSignal): void {
    const { blocks, metrics } = this.#options;
    // Small ones as many as are pushed at once: what is said of a batch costs as much as copying some of it.
    const atOnce = Math.floor(LIMITS.transferPushBytes / blockBytes(blocks.layout));
    while (ahead.length < Math.max(LIMITS.transferAheadBlocks, atOnce)) {
      const wanted = queue.take();
      if (wanted === null) return;
      const now = blocks.hold(wanted.identity.hash);
      const coming = now ? Promise.resolve(now) : blocks.whenHeld(wanted.identity, signal).catch(() => null);
      const prepared: Prepared = { wanted, served: now ?? undefined, whenReady: Promise.resolve(null) };
      if (now) metrics.held(1);
      prepared.whenReady = coming.then((served) => {
        if (served && !now) metrics.held(1);
        prepared.served = served;
        return served;
      });
      ahead.push(prepared);
    }
  }

  /** Says now and then that this worker lives, as long as there is nothing else to say. */
  async #orBeat(coming: Promise<unknown>, say: (answer: Answer) => void): Promise<void> {
    let cancel = () => {};
    const beat = () => {
      say({ case: 'waiting', value: {} });
      cancel = this.#options.timers.after(LIMITS.transferBeatMs, beat);
    };
    cancel = this.#options.timers.after(LIMITS.transferBeatMs, beat);
    await coming;
    cancel();
  }
}

interface Pull {
  readonly requests: AsyncIterator<PullRequest>;
  readonly stream: PullStream;
  readonly grant: Grant;
  readonly pusher: Pusher;
  readonly backend: TransferBackend;
  readonly say: (answer: Answer) => void;
}

interface Prepared {
  readonly wanted: Wanted;
  /** undefined until it is known; null: it will never come. */
  served: ServedBlock | null | undefined;
  whenReady: Promise<ServedBlock | null>;
}

/** The beginning that is there, at least one block and not many bytes. */
function takeReady(ahead: Prepared[]): OutgoingBlock[] {
  const batch: OutgoingBlock[] = [];
  let bytes = 0;
  while (ahead[0]?.served && (batch.length === 0 || bytes < LIMITS.transferPushBytes)) {
    const { wanted, served } = ahead.shift()!;
    batch.push({ index: wanted.index, slot: wanted.slot, served: served! });
    bytes += served!.bytes.length;
  }
  return batch;
}

/** What the reader has asked for and has not been looked up yet. */
class WantedQueue {
  readonly #signal: AbortSignal;
  readonly #waiting: Wanted[] = [];
  #asked = 0;
  #wake: () => void = () => {};

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake(), { once: true });
  }

  /** Throws `protocol` past the bounds. */
  add(wanted: readonly Wanted[]): void {
    this.#asked += wanted.length;
    if (
      this.#waiting.length + wanted.length > LIMITS.transferAskedBlocks ||
      this.#asked > LIMITS.transferBlocks
    )
      throw new TransferFault('protocol', 'more blocks are asked for than one reader may');
    this.#waiting.push(...wanted);
    this.#wake();
  }

  take(): Wanted | null {
    return this.#waiting.shift() ?? null;
  }

  /** When there is something to take, or the grant has ended. */
  whenAny(): Promise<void> {
    if (this.#waiting.length > 0 || this.#signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
