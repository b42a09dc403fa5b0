/** Free ports: asks the kernel, and says who is asked for when a given port is taken. */

import { createServer } from 'node:net';
import { StatorError } from '../../durable/runtime/errors.ts';

/** How many ports after the default one are tried. */
const TRIES = 100;

function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A port that the kernel picks. It is free now; whoever listens soon gets it. */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port: 0 }, () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

/** The wanted port; the next free one when it is taken and nobody asked for it by name. */
export async function choosePort(host: string, wanted: number, options: { given: boolean }): Promise<number> {
  if (wanted === 0) return freePort(host);
  if (await canListen(host, wanted)) return wanted;
  if (options.given) {
    throw new StatorError(
      'invalid_request',
      `port ${wanted} on ${host} is in use by another process; choose another --port, or 0 for any free one`,
      { param: 'port' },
    );
  }
  for (let port = wanted + 1; port <= wanted + TRIES; port++) if (await canListen(host, port)) return port;
  throw new StatorError('invalid_request', `no free port between ${wanted} and ${wanted + TRIES}`, {
    param: 'port',
  });
}
