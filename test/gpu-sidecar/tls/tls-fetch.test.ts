/** `fetch` with certificates: what calls of the platform need of it. */

import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { tlsFetch } from '../../../gpu-sidecar/tls/tls-fetch.ts';
import { certificateAuthority } from '../../harness/certificate-files.ts';

const { pem } = certificateAuthority('fetch').issue(['127.0.0.1']);
const stranger = certificateAuthority('stranger').issue(['127.0.0.1']).pem;
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Wants a certificate of the authority. */
async function serverWith(handle: RequestListener): Promise<string> {
  const server = createServer({ ...pem, requestCert: true, rejectUnauthorized: true }, handle);
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('method, headers and body go, status, headers and body come, on one connection', async () => {
  const sockets = new Set<unknown>();
  const url = await serverWith(async (request, response) => {
    sockets.add(request.socket);
    response.writeHead(404, { 'x-stator-code': 'not_found' });
    response.end(`${request.method} ${request.url} ${request.headers['x-api-key']} ${await text(request)}`);
  });
  const member = tlsFetch(pem);
  const init = { method: 'POST', headers: { 'x-api-key': 'key' }, body: 'grüße' };
  for (const path of ['/a', '/b']) {
    const response = await member(url + path, init);
    expect([response.ok, response.status, response.headers.get('x-stator-code')]).toEqual([
      false,
      404,
      'not_found',
    ]);
    expect(await response.text()).toBe(`POST ${path} key grüße`);
  }
  expect(sockets.size).toBe(1);
});

test('an abort ends the body, and the other side sees it', async () => {
  const left = Promise.withResolvers<void>();
  const url = await serverWith((_request, response) => {
    response.on('close', left.resolve);
    response.write('first');
  });
  const leaving = new AbortController();
  const response = await tlsFetch(pem)(url, { signal: leaving.signal });
  const reader = response.body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe('first');
  leaving.abort();
  await expect(reader.read()).rejects.toThrow();
  await left.promise;
});

test('who is not of the authority is not talked to, on either side', async () => {
  const url = await serverWith((_request, response) => response.end());
  await expect(tlsFetch({ ...pem, ca: stranger.ca })(url)).rejects.toThrow(/certificate/);
  await expect(tlsFetch({ ...stranger, ca: pem.ca })(url)).rejects.toThrow();
});
