/**
 * `fetch` with certificates of one's own: Node's has no place for them. As much of it as calls of the platform need;
 * redirects are not followed.
 */

import { Agent, request as send } from 'node:https';
import { Readable } from 'node:stream';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { TlsFiles } from './tls-files.ts';

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

/** Shows `cert`, trusts the authorities in `ca` and nobody else. */
export function tlsFetch({ ca, cert, key }: TlsFiles): Fetch {
  // An idle connection goes before workerd closes it, which it does after 5 seconds.
  const timeout = LIMITS.platformIdleMs;
  const agent = new Agent({ keepAlive: true, timeout, cert, key, ...(ca === null ? {} : { ca }) });
  return (url, init = {}) =>
    new Promise((resolve, reject) => {
      const headers = Object.fromEntries(new Headers(init.headers));
      const { method = 'GET', signal } = init;
      const options = { agent, headers, method, ...(signal ? { signal } : {}) };
      const request = send(url, options, (message) => {
        const body = Readable.toWeb(message) as unknown as ReadableStream<Uint8Array>;
        const { headers: fields, statusCode = 502 } = message;
        resolve(new Response(body, { status: statusCode, headers: fields as Record<string, string> }));
      });
      request.on('error', reject);
      request.end(init.body ?? undefined);
    });
}
