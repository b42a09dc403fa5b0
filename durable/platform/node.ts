/**
 * `#platform` in Node: what object classes extend and call there, so that shells run in unit tests without workerd.
 *
 * Sockets are in-process pairs: what one end sends the other receives, in order, in a later microtask. A `Response` of
 * status 101 does not exist in Node, so an upgrade answers 200 with the client's end as its property `webSocket`.
 */

import type { DurableObject as WorkerdDurableObject } from 'cloudflare:workers';
import type { ServerSocket } from './socket.ts';
import { socketPair } from './socket-pair.ts';

class NodeDurableObject {
  protected readonly ctx: unknown;
  protected readonly env: unknown;

  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}

export const DurableObject = NodeDurableObject as unknown as typeof WorkerdDurableObject;

export function acceptSocket(protocol: string): { response: Response; socket: ServerSocket } {
  const { client, server } = socketPair();
  const response = new Response(null, { headers: { 'sec-websocket-protocol': protocol } });
  return { response: Object.assign(response, { webSocket: client }), socket: server };
}
