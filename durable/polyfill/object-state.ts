/**
 * `ctx` in Node: an object's id, storage and host, the gate that holds its events while it prepares itself, and what ends
 * with it: its timers and its sockets.
 */

import type { Host } from '../platform/host.ts';
import type { ObjectId } from './object-id.ts';
import type { ObjectStorage } from './object-storage.ts';
import type { PairedSocket } from './socket-pair.ts';

export class ObjectState {
  readonly id: ObjectId;
  readonly storage: ObjectStorage;
  /** The given host, as long as the object lives. */
  readonly host: Host;
  readonly #sockets = new Set<PairedSocket>();
  #alive = true;
  #gate: Promise<unknown> = Promise.resolve();
  /** Events begin in the order in which they came. */
  #line: Promise<unknown> = Promise.resolve();

  constructor(id: ObjectId, storage: ObjectStorage, host: Host) {
    this.id = id;
    this.storage = storage;
    this.host = {
      nowMs: () => host.nowMs(),
      random: () => host.random(),
      after: (delayMs, task) => host.after(delayMs, () => this.#alive && task()),
    };
  }

  /** Events wait until this is done; when it fails, they fail, and the object must start anew. */
  async blockConcurrencyWhile<T>(prepare: () => Promise<T>): Promise<T> {
    const done = this.#gate.then(prepare);
    this.#gate = done;
    return done;
  }

  /** Objects live as long as the process: there is nothing to extend. */
  waitUntil(_promise: Promise<unknown>): void {}

  /**
   * Begins an event when it may be delivered: after those that came before it have begun, the object has prepared itself, and
   * nobody waits for its storage. Messages of sockets are delivered as they come.
   */
  begin<T>(event: () => T): Promise<Awaited<T>> {
    const turn = this.#line.then(() => this.#gate).then(() => this.storage.quiet());
    const begun = turn.then(() => ({ outcome: event() }));
    this.#line = begun.catch(() => {});
    return begun.then(({ outcome }) => outcome) as Promise<Awaited<T>>;
  }

  /** The object's end of a socket, which breaks when the object does. */
  adopt(socket: PairedSocket): void {
    this.#sockets.add(socket);
    socket.addEventListener('close', () => this.#sockets.delete(socket));
  }

  /** The object is gone: its timers do nothing, its peers see broken connections, it hears nothing of it. */
  end(): void {
    this.#alive = false;
    for (const socket of this.#sockets) socket.vanish();
  }
}
