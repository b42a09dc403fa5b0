/**
 * `tcp`: between any two machines. The source listens beside its gRPC listener; a reader dials and shows the capability of its
 * grant, and blocks are written from where they lie (header and bytes of a batch in one `writev`). With fleet TLS both ends
 * show certificates of the fleet, on this connection as on all others.
 *
 * The copying is the kernel's, in the event loop's turns: 2 to 4 GB/s, in turns of at most what a socket buffers (docs/decisions/0016).
 */

import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import * as z from 'zod';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { FleetTls } from '../../tls/fleet-tls.ts';
import type { OutgoingBlock, Pusher, PushGrant, TransferBackend, Window } from '../backend.ts';
import { TransferFault } from '../fault.ts';
import { readOpaque, writeOpaque } from '../opaque.ts';
import { decodeHello, encodeBlock, encodeRefusal, FRAME_BYTES } from './tcp-frames.ts';
import { unpaceWithinHost } from './tcp-same-host.ts';
import { TcpWindow } from './tcp-window.ts';

const Announced = z.strictObject({
  host: z.string().min(1).max(255),
  port: z.int().min(1).max(65_535),
  tls: z.boolean(),
});

export interface TcpOptions {
  /** Where to listen, and what peers are told. */
  host: string;
  /** 0: any free port. */
  port: number;
  tls: FleetTls | null;
}

export class TcpBackend implements TransferBackend {
  readonly name = 'tcp';
  readonly #options: TcpOptions;
  readonly #server: Server;
  readonly #pushers = new Map<string, TcpPusher>();
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor(options: TcpOptions) {
    this.#options = options;
    const { tls } = options;
    const take = (socket: Socket) => this.#greet(socket);
    this.#server =
      tls === null
        ? createServer({ noDelay: true }, take)
        : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: true }, take);
    this.#server.maxConnections = LIMITS.transferGrants;
  }

  /** Throws `backend` when it cannot listen. */
  static async listen(options: TcpOptions): Promise<TcpBackend> {
    const backend = new TcpBackend(options);
    const { host, port } = options;
    await new Promise<void>((resolve, reject) => {
      backend.#server.once('error', (error) =>
        reject(new TransferFault('backend', `cannot listen on ${host}:${port}: ${error.message}`, error)),
      );
      backend.#server.listen(port, host, resolve);
    });
    const address = backend.#server.address();
    backend.#port = typeof address === 'object' && address ? address.port : port;
    // What a handshake fails with is the other end's to notice.
    backend.#server.on('error', () => {});
    return backend;
  }

  announce(): Uint8Array {
    return writeOpaque({ host: this.#options.host, port: this.#port, tls: this.#options.tls !== null });
  }

  /** null when one end has TLS and the other has not. */
  async offer(announced: Uint8Array): Promise<Window | null> {
    const { host, port, tls } = readOpaque(Announced, announced);
    if (tls !== (this.#options.tls !== null)) return null;
    return new TcpWindow({ host, port }, this.#options.tls);
  }

  async open(_description: Uint8Array, grant: PushGrant): Promise<Pusher> {
    const key = keyOf(grant.capability);
    const pusher = new TcpPusher(grant.signal, () => this.#pushers.delete(key));
    this.#pushers.set(key, pusher);
    return pusher;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** The first thing on a connection is a capability. */
  #greet(socket: Socket): void {
    this.#sockets.add(socket);
    unpaceWithinHost(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(LIMITS.transferConnectMs, () => socket.destroy());
    const heard = () => {
      const hello = socket.read(FRAME_BYTES) as Buffer | null;
      if (hello === null) return;
      socket.off('readable', heard);
      socket.setTimeout(0);
      const capability = decodeHello(hello);
      const pusher = capability && this.#pushers.get(keyOf(capability));
      if (!pusher?.take(socket)) socket.end(encodeRefusal());
    };
    socket.on('readable', heard);
  }
}

const keyOf = (capability: Uint8Array): string => Buffer.from(capability).toString('hex');

class TcpPusher implements Pusher {
  readonly #signal: AbortSignal;
  readonly #ended: () => void;
  readonly #connected = Promise.withResolvers<Socket>();
  #socket: Socket | null = null;

  constructor(signal: AbortSignal, ended: () => void) {
    this.#signal = signal;
    this.#ended = ended;
    this.#connected.promise.catch(() => {});
    signal.addEventListener('abort', () => this.#lose(toFault(signal.reason)), { once: true });
  }

  /** false: the capability was used before, or its grant has ended. */
  take(socket: Socket): boolean {
    if (this.#socket || this.#signal.aborted) return false;
    this.#socket = socket;
    socket.on('close', () => this.#lose(new TransferFault('reset')));
    // Nothing more is expected, but the other end's close is only seen by who reads.
    socket.resume();
    this.#connected.resolve(socket);
    return true;
  }

  async push(blocks: readonly OutgoingBlock[]): Promise<void> {
    const socket = await this.#connected.promise;
    await new Promise<void>((resolve, reject) => {
      if (socket.destroyed) return reject(new TransferFault('reset'));
      const lost = () => reject(new TransferFault('reset'));
      socket.once('close', lost);
      socket.cork();
      blocks.forEach(({ index, served }, i) => {
        const { bytes, identity } = served;
        socket.write(encodeBlock({ index, length: bytes.length, hash: identity.hash }));
        const last = i === blocks.length - 1;
        socket.write(bytes, (error) => {
          if (!last) return;
          socket.off('close', lost);
          if (error) reject(new TransferFault('reset', error.message, error));
          else resolve();
        });
      });
      socket.uncork();
    });
  }

  close(): Promise<void> {
    this.#ended();
    this.#lose(new TransferFault('aborted'));
    const socket = this.#socket;
    if (socket === null || socket.closed) return Promise.resolve();
    return new Promise((resolve) => socket.once('close', () => resolve()));
  }

  #lose(fault: TransferFault): void {
    this.#connected.reject(fault);
    this.#socket?.destroy();
  }
}

const toFault = (reason: unknown): TransferFault =>
  reason instanceof TransferFault ? reason : new TransferFault('aborted');
