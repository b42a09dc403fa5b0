/** What happens when a port is taken: an error for a port that was asked for, the next free one for the default. */

import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { choosePort, freePort } from '../../../cli/launch/ports.ts';

const HOST = '127.0.0.1';
const servers: Server[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => new Promise((done) => server.close(done)))));

function take(port: number): Promise<void> {
  const server = createServer();
  servers.push(server);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: HOST, port, exclusive: true }, resolve);
  });
}

describe('a wanted port', () => {
  test('is taken as it is while it is free', async () => {
    const port = await freePort();
    expect(await choosePort(HOST, port, { given: true })).toBe(port);
    expect(await choosePort(HOST, port, { given: false })).toBe(port);
  });

  test('that somebody named and another process has is an error with its number', async () => {
    const port = await freePort();
    await take(port);
    await expect(choosePort(HOST, port, { given: true })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'port',
      message: expect.stringMatching(new RegExp(`port ${port} on 127.0.0.1 is in use .*--port`)),
    });
  });

  test('that nobody named gives way to a later one', async () => {
    const port = await freePort();
    await take(port);
    const chosen = await choosePort(HOST, port, { given: false });
    expect(chosen).toBeGreaterThan(port);
    expect(chosen).toBeLessThanOrEqual(port + 100);
    await take(chosen);
  });

  test('of 0 is any free one', async () => {
    const port = await choosePort(HOST, 0, { given: true });
    expect(port).toBeGreaterThan(0);
    await take(port);
  });
});
