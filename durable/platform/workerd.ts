/**
 * `#platform` inside workerd: the Durable Objects runtime as it is. Its Node form is `node.ts`.
 */

import { DurableObject } from 'cloudflare:workers';
import type { ServerSocket } from './socket.ts';

export { DurableObject };

/** Takes a WebSocket upgrade: the 101 response, and our end, already accepted and binary (never hibernating). */
export function acceptSocket(protocol: string): { response: Response; socket: ServerSocket } {
  const { 0: client, 1: server } = new WebSocketPair();
  server.binaryType = 'arraybuffer';
  server.accept();
  const headers = { 'sec-websocket-protocol': protocol };
  return { response: new Response(null, { status: 101, webSocket: client, headers }), socket: server };
}
