/** What the platform is told to store: one request, in time or not at all, and never an exception. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { platformRecords } from '../../../gpu-sidecar/server/response-records.ts';

async function platform(answer: (request: IncomingMessage, response: ServerResponse, body: string) => void) {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    answer(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const warnings: string[] = [];
  const records = platformRecords({
    platformUrl: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fleetToken: 'secret',
    timeoutMs: 200,
    log: { warn: (_message, fields) => void warnings.push(String(fields?.['reason'])) },
  });
  return {
    records,
    warnings,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('the document goes to the response, with its state and the fleet token', async () => {
  const asked: unknown[] = [];
  await using to = await platform(({ method, url, headers }, response, body) => {
    asked.push([method, url, headers.authorization, body]);
    response.end();
  });
  await to.records.keep('resp_é/1', { state: 'completed', document: '{"a":"é"}' });
  expect(asked).toEqual([
    ['PUT', '/fleet/v1/responses/resp_%C3%A9%2F1?state=completed', 'Bearer secret', '{"a":"é"}'],
  ]);
  expect(to.warnings).toEqual([]);
});

test('a platform that refuses, or does not answer, costs a warning', async () => {
  await using refusing = await platform((_request, response) => response.writeHead(500).end());
  await refusing.records.keep('resp_1', { state: 'completed', document: '{}' });
  expect(refusing.warnings).toEqual(['the platform answered with HTTP status 500']);
  await using silent = await platform(() => {});
  await silent.records.keep('resp_1', { state: 'completed', document: '{}' });
  expect(silent.warnings).toHaveLength(1);
});
