/**
 * The reader's end of `tcp`: dials the source, shows its capability, and has the kernel put each block's bytes straight into
 * its slot (`onread` with a buffer chosen per read). A slow reader stops reading, and TCP stops the source.
 */

import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { FleetTls } from '../../tls/fleet-tls.ts';
import type { Window } from '../backend.ts';
import { TransferFault } from '../fault.ts';
import { decodeFrame, encodeHello, FRAME_BYTES } from './tcp-frames.ts';

export interface TcpAddress {
  host: string;
  port: number;
}

export class TcpWindow implements Window {
  readonly description = new Uint8Array(0);
  readonly #address: TcpAddress;
  readonly #tls: FleetTls | null;
  readonly #expected = new Map<number, { bytes: Uint8Array; arrived: PromiseWithResolvers<void> }>();
  readonly #header = new Uint8Array(FRAME_BYTES);
  /** What is being filled, and how far. */
  #filling: Uint8Array = this.#header;
  #filled = 0;
  #block: number | null = null;
  #socket: Socket | null = null;
  #lost: TransferFault | null = null;

  constructor(address: TcpAddress, tls: FleetTls | null) {
    this.#address = address;
    this.#tls = tls;
  }

  begin(capability: Uint8Array, signal: AbortSignal): Promise<void> {
    const onread = {
      buffer: () => this.#filling.subarray(this.#filled),
      callback: (count: number) => this.#read(count),
    };
    return new Promise((resolve, reject) => {
      const connected = () => {
        socket.setTimeout(0);
        socket.write(encodeHello(capability));
        resolve();
      };
      const lose = (fault: TransferFault) => {
        this.#lose(fault);
        reject(fault);
      };
      const tls = this.#tls;
      const where = { ...this.#address, onread, noDelay: true } as const;
      const socket =
        tls === null
          ? connect(where, connected)
          : connectTls({ ...where, ca: tls.ca, cert: tls.cert, key: tls.key }, connected);
      this.#socket = socket;
      socket.setTimeout(LIMITS.transferConnectMs, () =>
        lose(
          new TransferFault('unreachable', `no connection to ${this.#address.host}:${this.#address.port}`),
        ),
      );
      socket.on('error', (error) =>
        lose(new TransferFault(socket.connecting ? 'unreachable' : 'reset', error.message, error)),
      );
      socket.on('end', () => lose(this.#endedEarly()));
      socket.on('close', () => lose(this.#endedEarly()));
      signal.addEventListener('abort', () => lose(new TransferFault('aborted')), { once: true });
    });
  }

  expect(index: number, { bytes }: { bytes: Uint8Array }): void {
    const arrived = Promise.withResolvers<void>();
    // Nobody may ask for it before the pull has ended otherwise.
    arrived.promise.catch(() => {});
    if (this.#lost) arrived.reject(this.#lost);
    this.#expected.set(index, { bytes, arrived });
  }

  async arrived(index: number): Promise<void> {
    const expected = this.#expected.get(index);
    if (expected === undefined) throw new TransferFault('protocol', `block ${index} was not asked for`);
    await expected.arrived.promise;
    this.#expected.delete(index);
  }

  /** With the connection gone nobody writes: reads go through this event loop. */
  close(): Promise<void> {
    this.#lose(new TransferFault('aborted'));
    return Promise.resolve();
  }

  /** Whether to go on reading. */
  #read(count: number): boolean {
    if (this.#lost) return false;
    this.#filled += count;
    if (this.#filled < this.#filling.length) return true;
    if (this.#block === null) return this.#startBlock();
    this.#expected.get(this.#block)!.arrived.resolve();
    this.#filling = this.#header;
    this.#filled = 0;
    this.#block = null;
    return true;
  }

  #startBlock(): boolean {
    const frame = decodeFrame(this.#header);
    if (frame === 'refused') return this.#lose(new TransferFault('stale_handle', 'the capability has ended'));
    const expected = frame && this.#expected.get(frame.index);
    if (!frame || !expected || expected.bytes.length !== frame.length)
      return this.#lose(new TransferFault('protocol', 'a frame that does not fit what was asked for'));
    this.#filling = expected.bytes;
    this.#filled = 0;
    this.#block = frame.index;
    return true;
  }

  #endedEarly(): TransferFault {
    const inBlock = this.#block !== null || this.#filled > 0;
    return new TransferFault(inBlock ? 'short_read' : 'reset');
  }

  #lose(fault: TransferFault): false {
    if (this.#lost) return false;
    this.#lost = fault;
    this.#filling = this.#header;
    this.#filled = 0;
    this.#socket?.destroy();
    for (const { arrived } of this.#expected.values()) arrived.reject(fault);
    return false;
  }
}
