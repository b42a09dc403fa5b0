/**
 * A NATS connection that is kept: opened again for as long as it is wanted, whatever ends it (no server, wrong credentials, a
 * restart), with what became of it told. The library reconnects by itself where it can; this is for where it gives up.
 * How a connection is made is an argument: workerd and Node have different sockets.
 */

import type { NatsConnection, Status } from '@nats-io/nats-core';
import { LIMITS } from '../limits.ts';
import type { Logger } from '../log.ts';

export type NatsNote = 'connected' | 'disconnected' | 'refused' | 'error';

export interface NatsLinkOptions {
  connect: () => Promise<NatsConnection>;
  /** A new connection is there; subscriptions are made here. The library makes them again when it reconnects. */
  opened: (connection: NatsConnection) => void | Promise<void>;
  /** It was gone for a while and is back. */
  back?: () => void;
  note?: (what: NatsNote) => void;
  after: (delayMs: number, task: () => void) => void;
  log: Logger;
}

export class NatsLink {
  readonly #options: NatsLinkOptions;
  #connection: NatsConnection | null = null;
  #up = false;
  #closed = false;
  #attempts = 0;

  constructor(options: NatsLinkOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#open();
  }

  /** null while there is none. */
  get connection(): NatsConnection | null {
    return this.#up ? this.#connection : null;
  }

  /** What is on its way is sent first. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#up = false;
    const connection = this.#connection;
    this.#connection = null;
    await connection?.close();
  }

  async #open(): Promise<void> {
    if (this.#closed) return;
    const { connect, log, note, opened } = this.#options;
    try {
      const connection = await connect();
      if (this.#closed) {
        await connection.close();
        return;
      }
      this.#connection = connection;
      this.#up = true;
      this.#attempts = 0;
      note?.('connected');
      log.info('NATS is connected', { server: connection.getServer() });
      void this.#watch(connection);
      await opened(connection);
    } catch (thrown) {
      note?.('refused');
      this.#attempts++;
      // Once a minute, not once a second.
      if (this.#attempts % LIMITS.natsAttemptsPerLine === 1) {
        log.warn('NATS cannot be used', { error: String(thrown), attempts: this.#attempts });
      }
      this.#lost();
    }
  }

  async #watch(connection: NatsConnection): Promise<void> {
    void connection.closed().then((error) => {
      if (this.#connection !== connection) return;
      this.#options.log.warn('the NATS connection was closed', { error: String(error ?? 'by the library') });
      this.#lost();
    });
    for await (const status of connection.status()) {
      if (this.#connection !== connection) return;
      this.#hear(status);
    }
  }

  #hear(status: Status): void {
    const { log, note, back } = this.#options;
    if (status.type === 'disconnect') {
      this.#up = false;
      note?.('disconnected');
      log.warn('NATS is away', { server: status.server });
    } else if (status.type === 'reconnect') {
      this.#up = true;
      note?.('connected');
      log.info('NATS is back', { server: status.server });
      back?.();
    } else if (status.type === 'error') {
      note?.('error');
      log.warn('NATS refuses', { error: String(status.error) });
    }
  }

  #lost(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#up = false;
    void connection?.close().catch(() => {});
    if (!this.#closed) this.#options.after(LIMITS.natsReconnectMs, () => void this.#open());
  }
}
