/**
 * A slot of host memory into which the bytes of a named block arrive from elsewhere. It is found by nobody until it is complete,
 * and complete only with the checksum that its sender has; dropped before, it gives the slot back.
 *
 * Whoever lets others write `bytes` (a network card, another process) must know that they have ended before dropping it.
 */

import type { BlockIdentity } from '../block.ts';
import type { PartialBlock } from '../block-pool.ts';
import type { KvbmMetrics } from '../kvbm-metrics.ts';
import { blockChecksum } from '../tiers/checksum.ts';
import { TierFault } from '../tiers/tier-store.ts';

export class ReceivingBlock implements Disposable {
  readonly identity: BlockIdentity;
  readonly slot: number;
  readonly bytes: Uint8Array;
  readonly #partial: PartialBlock;
  readonly #metrics: KvbmMetrics;

  constructor(
    identity: BlockIdentity,
    parts: { partial: PartialBlock; bytes: Uint8Array; metrics: KvbmMetrics },
  ) {
    this.identity = identity;
    this.slot = parts.partial.slot;
    this.bytes = parts.bytes;
    this.#partial = parts.partial;
    this.#metrics = parts.metrics;
  }

  /** The bytes are all there: the block is found from now on. Throws TierFault `checksum`, counted, when they are others. */
  complete(checksum: bigint): void {
    if (blockChecksum(this.identity.hash, this.bytes) !== checksum) {
      this[Symbol.dispose]();
      this.#metrics.fault('host', 'checksum');
      throw new TierFault(
        'checksum',
        `block ${this.identity.hash.toString(16)} did not arrive as it was sent`,
      );
    }
    this.#partial.complete({ identity: this.identity, checksum }).register()[Symbol.dispose]();
    this.#metrics.received(this.bytes.length);
  }

  /** After `complete` this does nothing. */
  [Symbol.dispose](): void {
    this.#partial[Symbol.dispose]();
  }
}
