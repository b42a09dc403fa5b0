/**
 * `#platform` inside workerd: the Durable Objects runtime as it is. Its Node form is `node.ts`.
 */

import { DurableObject } from 'cloudflare:workers';
import type { ConnectionOptions, NatsConnection } from '@nats-io/nats-core';
import { type Host, realHost } from './host.ts';
import type { ServerSocket } from './socket.ts';

export { DurableObject };

export const hostOf = (_ctx: DurableObjectState): Host => realHost;

/** Takes a WebSocket upgrade: the 101 response, and our end, already accepted and binary (never hibernating). `protocol`: null where the client offered none. */
export function acceptSocket(
  _ctx: DurableObjectState,
  protocol: string | null,
): { response: Response; socket: ServerSocket } {
  const { 0: client, 1: server } = new WebSocketPair();
  server.binaryType = 'arraybuffer';
  server.accept();
  const headers: HeadersInit = protocol === null ? {} : { 'sec-websocket-protocol': protocol };
  return { response: new Response(null, { status: 101, webSocket: client, headers }), socket: server };
}

/** The Worker that the object is part of: its own HTTP face, without a socket. */
export const selfOf = (ctx: DurableObjectState, _env: unknown): Fetcher =>
  (ctx as unknown as { exports: { default: Fetcher } }).exports.default;

/** The library is loaded by the first who wants a connection. */
export const connectNats = async (options: ConnectionOptions): Promise<NatsConnection> =>
  (await import('./nats-in-workerd.ts')).openNats(options);
