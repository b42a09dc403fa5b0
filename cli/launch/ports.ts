/** Free ports, and who is asked for when a given port is taken. */

import { createServer } from 'node:net';
import { StatorError } from '../../durable/runtime/errors.ts';

/** How many ports are tried. */
const TRIES = 100;
/** Where free ones are looked for, the end excluded. */
const FIRST = 20_000;
const END = 32_768;

function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * A port that is free now; whoever listens soon gets it. It lies below the range from which Linux, macOS and IANA give
 * outgoing connections their ports, so that none of those takes it meanwhile, and is drawn, so that neighbours who ask at
 * the same time hardly ever get the same.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let i = 0; i < TRIES; i++) {
    const port = FIRST + Math.floor(Math.random() * (END - FIRST));
    if (await canListen(host, port)) return port;
  }
  throw new StatorError('internal', `no free port found on ${host}`);
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
