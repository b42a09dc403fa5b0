/**
 * Two ends of an in-process WebSocket. What one end sends, the other receives in order, each message in a microtask of
 * its own; `close` is delivered once to each end, after everything sent before it. `abort` is the broken connection (1006).
 */

import type { ServerSocket } from '../platform/socket.ts';

type Listener = (event: { data: unknown; code: number }) => void;

export class PairedSocket implements ServerSocket {
  readonly #listeners: { type: string; listener: Listener }[] = [];
  #peer: PairedSocket | null = null;
  #open = true;

  static join(a: PairedSocket, b: PairedSocket): void {
    a.#peer = b;
    b.#peer = a;
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.push({ type, listener });
  }

  send(data: string | Uint8Array): void {
    if (!this.#open) throw new TypeError('the socket is closed');
    const copy = typeof data === 'string' ? data : data.slice().buffer;
    queueMicrotask(() => this.#peer?.deliver('message', { data: copy, code: 0 }));
  }

  close(code = 1000, _reason = ''): void {
    if (!this.#open) return;
    this.#open = false;
    queueMicrotask(() => this.#peer?.hangUp(code));
    queueMicrotask(() => this.deliver('close', { data: null, code }));
  }

  /** The connection breaks: both ends see 1006. */
  abort(): void {
    this.#open = false;
    this.deliver('close', { data: null, code: 1006 });
    this.#peer?.hangUp(1006);
  }

  /** This end is gone without a word; only the peer sees 1006. */
  vanish(): void {
    this.#open = false;
    this.#listeners.length = 0;
    this.#peer?.hangUp(1006);
  }

  hangUp(code: number): void {
    if (!this.#open) return;
    this.#open = false;
    this.deliver('close', { data: null, code });
  }

  deliver(type: string, event: { data: unknown; code: number }): void {
    for (const entry of this.#listeners) if (entry.type === type) entry.listener(event);
  }
}

export function socketPair(): { client: PairedSocket; server: PairedSocket } {
  const client = new PairedSocket();
  const server = new PairedSocket();
  PairedSocket.join(client, server);
  return { client, server };
}
