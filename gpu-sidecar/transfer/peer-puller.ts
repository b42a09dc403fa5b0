/**
 * Blocks of other workers for this one. What a decode worker does with it:
 *
 *   const puller = new PeerPuller({ instanceId, receiver: kvBlockManager, backends, fleetToken, tls, metrics, timers });
 *   const { blocks, fault } = await puller.pull({ address, blocks: identities, signal, onProgress });
 *   // blocks: how many of them, from the first on, are in host memory now; fault: why not all, or null
 *   await puller.close();
 *
 * `address` is the gRPC address of the worker that has the blocks or computes them just now: each comes as soon as it is in
 * its host memory, several at a time, in order. The lease is renewed while the pull goes on, everything is released at
 * its end. `pull` does not throw: whatever the peer does, the answer is a number of blocks whose bytes were compared with their
 * checksums, and the caller computes the rest. The caller's own deadline is its signal's.
 */

import { LIMITS } from '../../durable/runtime/limits.ts';
import type { BlockIdentity } from '../kvbm/block.ts';
import { requireSameLayout } from '../kvbm/layout.ts';
import type { Timers } from '../timers.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';
import type { BackendName, TransferBackend } from './backend.ts';
import type { BlockReceiver } from './blocks.ts';
import { TransferFault, type TransferFaultName, toTransferFault } from './fault.ts';
import type { Peer } from './peer.ts';
import { Peers } from './peers.ts';
import { type Offer, Pull } from './pull.ts';
import type { TransferMetrics } from './transfer-metrics.ts';
import { layoutFromWire } from './wire.ts';

export interface PullerOptions {
  instanceId: string;
  receiver: BlockReceiver;
  /** In order of preference. */
  backends: readonly TransferBackend[];
  fleetToken: string;
  tls: FleetTls | null;
  metrics: TransferMetrics;
  timers: Timers;
}

export interface PullOptions {
  /** host:port of the other worker's gRPC listener. */
  address: string;
  /** In order; at most LIMITS.transferBlocks of them are pulled. */
  blocks: readonly BlockIdentity[];
  /** The caller's interest, and its deadline. */
  signal: AbortSignal;
  /** Each time that more leading blocks are there. */
  onProgress?: (leadingBlocks: number) => void;
}

export interface PullResult {
  /** Leading blocks that are in host memory; those that were there before count. */
  blocks: number;
  /** null: all of them. */
  fault: TransferFaultName | null;
  /** What happened, in words; empty when all went well. */
  message: string;
  /** null when none was agreed on. */
  backend: BackendName | null;
  /** Of the blocks that came. */
  bytes: number;
}

export class PeerPuller {
  readonly #options: PullerOptions;
  readonly #peers: Peers;
  readonly #closing = new AbortController();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(options: PullerOptions) {
    this.#options = options;
    this.#peers = new Peers(options);
  }

  pull(options: PullOptions): Promise<PullResult> {
    const result = this.#pull(options);
    this.#underWay.add(result);
    void result.finally(() => this.#underWay.delete(result));
    return result;
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#closing.abort(new TransferFault('aborted', 'this worker leaves'));
    await Promise.all(this.#underWay);
    this.#peers.close();
  }

  async #pull(options: PullOptions): Promise<PullResult> {
    const { metrics } = this.#options;
    let peer: Peer | null = null;
    let pull = this.#begin(options);
    let fault: TransferFault | null = null;
    try {
      if (pull.reserve()) {
        peer = this.#peers.use(options.address);
        try {
          await this.#run(pull, peer);
        } catch (thrown) {
          // What we knew was of an earlier life of the peer: once more with what it is now, if it never granted anything.
          if (toTransferFault(thrown, 'unreachable').fault !== 'stale_handle' || pull.backend) throw thrown;
          peer.forget();
          pull.release();
          pull = this.#begin(options);
          if (pull.reserve()) await this.#run(pull, peer);
        }
      }
    } catch (thrown) {
      fault = toTransferFault(thrown, 'unreachable');
      if (fault.fault === 'stale_handle' || fault.fault === 'unreachable') peer?.forget();
      if (fault.fault !== 'aborted' && fault.fault !== 'no_room')
        metrics.fault('reader', pull.backend, fault.fault);
    } finally {
      pull.release();
      if (peer) peer.users--;
    }
    const { backend, bytes, leading } = pull;
    return { blocks: leading, fault: fault?.fault ?? null, message: fault?.message ?? '', backend, bytes };
  }

  #begin({ blocks, onProgress, signal }: PullOptions): Pull {
    const { metrics, receiver, timers } = this.#options;
    return new Pull({
      blocks: blocks.slice(0, LIMITS.transferBlocks),
      receiver,
      metrics,
      timers,
      signal: AbortSignal.any([signal, this.#closing.signal]),
      onProgress: onProgress ?? (() => {}),
    });
  }

  async #run(pull: Pull, peer: Peer): Promise<void> {
    const { backends, instanceId, receiver } = this.#options;
    const metadata = await pull.orEnded(peer.metadata());
    requireSameLayout(receiver.layout, layoutFromWire(metadata.layout));
    const offers: Offer[] = [];
    for (const backend of backends) {
      const theirs = metadata.backends.find(({ name }) => name === backend.name);
      if (theirs === undefined || theirs.metadata.length > LIMITS.transferMetadataBytes) continue;
      try {
        const window = await backend.offer(theirs.metadata);
        if (window) offers.push({ backend: backend.name, window });
      } catch (thrown) {
        for (const { window } of offers) await window.close(AbortSignal.abort());
        throw thrown;
      }
    }
    if (offers.length === 0) {
      const names = (list: readonly { name: string }[]) => list.map(({ name }) => name).join(', ') || 'none';
      throw new TransferFault('no_backend', `${names(backends)} here, ${names(metadata.backends)} there`);
    }
    await pull.run(peer.pull(), offers, { instanceId, epoch: metadata.epoch });
  }
}
