/**
 * `#platform` in Node: what object classes extend and call there; `durable/polyfill` runs them. Sockets are in-process
 * pairs. A `Response` of status 101 does not exist in Node, so an upgrade answers 200 with the client's end as its
 * property `webSocket`.
 */

import type { DurableObject as WorkerdDurableObject } from 'cloudflare:workers';
import type { ConnectionOptions, NatsConnection } from '@nats-io/nats-core';
import { ObjectState } from '../polyfill/object-state.ts';
import { socketPair } from '../polyfill/socket-pair.ts';
import { type Host, realHost } from './host.ts';
import type { ServerSocket } from './socket.ts';

class NodeDurableObject {
  protected readonly ctx: unknown;
  protected readonly env: unknown;

  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}

export const DurableObject = NodeDurableObject as unknown as typeof WorkerdDurableObject;

export const hostOf = (ctx: unknown): Host => (ctx instanceof ObjectState ? ctx.host : realHost);

export function acceptSocket(
  ctx: unknown,
  protocol: string | null,
): { response: Response; socket: ServerSocket } {
  const { client, server } = socketPair();
  if (ctx instanceof ObjectState) ctx.adopt(server);
  const headers: HeadersInit = protocol === null ? {} : { 'sec-websocket-protocol': protocol };
  const response = new Response(null, { headers });
  return { response: Object.assign(response, { webSocket: client }), socket: server };
}

/** The Worker that the object is part of is what the namespace's `env` calls SELF. */
export const selfOf = (_ctx: unknown, env: unknown): Fetcher => (env as { SELF: Fetcher }).SELF;

/** The library is loaded by the first who wants a connection. */
export const connectNats = async (options: ConnectionOptions): Promise<NatsConnection> =>
  (await import('@nats-io/transport-node')).connect(options);
