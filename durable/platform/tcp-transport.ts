/**
 * How the NATS client reaches its server from inside workerd: a TCP socket of the runtime, made TLS where the server wants it.
 * The client library has a transport for WebSockets and one for Node; this one makes the plain `nats://` port do here, too.
 * The certificates that are trusted are those of workerd's network service.
 */

import { connect as openSocket } from 'cloudflare:sockets';
import type { ConnectionOptions, ServerInfo } from '@nats-io/nats-core';
import {
  checkOptions,
  DataBuffer,
  extractProtocolMessage,
  INFO,
  type Server,
  type Transport,
} from '@nats-io/nats-core/internal';

export class TcpTransport implements Transport {
  readonly lang = 'nats.ts';
  readonly version = '3.4.0';
  isClosed = false;
  closeError?: Error;
  readonly #over = Promise.withResolvers<undefined | Error>();
  #socket: Socket | null = null;
  #writer: WritableStreamDefaultWriter<Uint8Array> | null = null;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  /** What came with the server's first line. */
  #first: Uint8Array = new Uint8Array(0);
  #encrypted = false;

  async connect(server: Server, options: ConnectionOptions): Promise<void> {
    const socket = openSocket(
      { hostname: server.hostname, port: server.port },
      { secureTransport: 'starttls', allowHalfOpen: false },
    );
    this.#socket = socket;
    socket.closed.catch(() => {});
    await socket.opened;
    const reader: ReadableStreamDefaultReader<Uint8Array> = socket.readable.getReader();
    const info = await this.#info(reader);
    checkOptions(info, options);
    if (info.tls_required) {
      reader.releaseLock();
      this.#socket = socket.startTls();
      this.#encrypted = true;
      await this.#socket.opened;
      this.#reader = this.#socket.readable.getReader();
    } else this.#reader = reader;
    this.#writer = this.#socket.writable.getWriter();
    this.#writer.closed.catch(() => {});
  }

  async #info(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<ServerInfo> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Error('the server closed the connection');
      this.#first = DataBuffer.concat(this.#first, value);
      const line = extractProtocolMessage(this.#first);
      if (line === '') continue;
      const json = INFO.exec(line)?.[1];
      if (json === undefined) throw new Error('this is no NATS server');
      return JSON.parse(json) as ServerInfo;
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    yield this.#first;
    try {
      while (!this.isClosed) {
        const { done, value } = await this.#reader!.read();
        if (done) break;
        yield value;
      }
      this.#end();
    } catch (thrown) {
      this.#end(thrown as Error);
    }
  }

  isEncrypted(): boolean {
    return this.#encrypted;
  }

  send(frame: Uint8Array): void {
    if (this.isClosed) return;
    // The library may write into its buffer again.
    this.#writer?.write(frame.slice()).catch((error: Error) => this.#end(error));
  }

  async close(error?: Error): Promise<void> {
    if (!this.isClosed) await this.#writer?.ready.catch(() => {});
    this.#end(error);
  }

  disconnect(): void {
    this.#end();
  }

  discard(): void {
    this.#end();
  }

  closed(): Promise<undefined | Error> {
    return this.#over.promise;
  }

  #end(error?: Error): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (error !== undefined) this.closeError = error;
    void this.#socket?.close().catch(() => {});
    this.#over.resolve(error);
  }
}
