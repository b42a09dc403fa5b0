/** Connections to other workers, kept from pull to pull; past a number the one that was used longest ago goes, if it is idle. */

import { LIMITS } from '../../durable/runtime/limits.ts';
import { TransferFault } from './fault.ts';
import { Peer, type PeerAccess } from './peer.ts';

export class Peers {
  readonly #access: PeerAccess;
  /** By address, the least recently used first. */
  readonly #open = new Map<string, Peer>();

  constructor(access: PeerAccess) {
    this.#access = access;
  }

  /** Throws `refused` when all connections that there may be are in use. */
  use(address: string): Peer {
    const known = this.#open.get(address);
    if (known === undefined) this.#makeRoom();
    const peer = known ?? new Peer(address, this.#access);
    this.#open.delete(address);
    this.#open.set(address, peer);
    peer.users++;
    return peer;
  }

  get size(): number {
    return this.#open.size;
  }

  close(): void {
    for (const peer of this.#open.values()) peer.close();
    this.#open.clear();
  }

  #makeRoom(): void {
    if (this.#open.size < LIMITS.transferPeers) return;
    for (const [address, peer] of this.#open) {
      if (peer.users > 0) continue;
      peer.close();
      this.#open.delete(address);
      return;
    }
    throw new TransferFault('refused', `this worker pulls from ${this.#open.size} others already`);
  }
}
