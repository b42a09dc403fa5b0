/**
 * The S3 client against a small server that keeps objects and does as it is told; it checks signatures by signing once more. A real
 * server: test/servers/kvbm-s3.test.ts.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AwsV4Signer } from 'aws4fetch';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openObjectStore } from '../../../../gpu-sidecar/kvbm/objects/open-object-store.ts';
import { toTierFault } from '../../../../gpu-sidecar/kvbm/tiers/tier-store.ts';

const never = new AbortController().signal;
const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
const ACCESS = { region: 'eu-test-1', accessKeyId: 'key', secretAccessKey: 'secret' };
const faultOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (thrown) => toTierFault(thrown).fault,
  );

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let endpoint = '';
const objects = new Map<string, Buffer>();
/** Answers of the next requests, before the server does what it should. */
const commanded: Answer[] = [];
let requests = 0;

const status =
  (code: number): Answer =>
  (_, response) =>
    response.writeHead(code).end('<Error/>');

beforeEach(async () => {
  objects.clear();
  commanded.length = 0;
  requests = 0;
  server = createServer(async (request, response) => {
    requests++;
    const body = Buffer.concat(await request.toArray());
    const command = commanded.shift();
    if (command) return command(request, response);
    if (!(await isSigned(request, body))) return status(403)(request, response);
    keep(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** Whether the request says what a signature with our secret would. */
async function isSigned(request: IncomingMessage, body: Buffer): Promise<boolean> {
  const header = (name: string) => String(request.headers[name]);
  const signer = new AwsV4Signer({
    ...ACCESS,
    service: 's3',
    method: request.method!,
    url: `${endpoint}${request.url}`,
    datetime: header('x-amz-date'),
    headers: { 'x-amz-content-sha256': header('x-amz-content-sha256') },
    ...(body.length > 0 ? { body } : {}),
  });
  return (await signer.authHeader()) === header('authorization');
}

function keep(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const url = new URL(request.url!, endpoint);
  const key = decodeURIComponent(url.pathname);
  if (url.searchParams.has('list-type')) {
    list(url, response);
    return;
  }
  if (request.method === 'PUT') objects.set(key, body);
  if (request.method === 'DELETE') objects.delete(key);
  const object = objects.get(key);
  if (object === undefined && request.method !== 'DELETE') response.writeHead(404).end('<Error/>');
  else response.end(request.method === 'GET' ? object : undefined);
}

/** Two keys a page. */
function list(url: URL, response: ServerResponse): void {
  const from = Number(url.searchParams.get('continuation-token') ?? 0);
  const names = [...objects.keys()].map((key) => key.replace('/bucket/', ''));
  const all = names.filter((name) => name.startsWith(url.searchParams.get('prefix') ?? ''));
  const next = from + 2 < all.length ? `<NextContinuationToken>${from + 2}</NextContinuationToken>` : '';
  const page = all.slice(from, from + 2).map((key) => `<Contents><Key>${key}</Key></Contents>`);
  response.end(`<ListBucketResult>${page.join('')}${next}</ListBucketResult>`);
}

const store = (changes = {}) => openObjectStore('s3://bucket/models/kv', { endpoint, ...ACCESS, ...changes });

describe('objects in S3', () => {
  it('come back as they were put, signed, under the prefix', async () => {
    await store().put('lay out/key', BYTES, never);
    expect([...objects.keys()]).toEqual(['/bucket/models/kv/lay out/key']);
    expect(await store().get('lay out/key', 1000, never)).toEqual(BYTES);
    expect([await store().has('lay out/key', never), await store().has('none', never)]).toEqual([
      true,
      false,
    ]);
    await store().delete('lay out/key', never);
    expect(objects.size).toBe(0);
  });

  it('are listed page by page, up to the limit', async () => {
    for (const key of ['a/1', 'a/2', 'a/3', 'b/1', 'a/4']) await store().put(key, BYTES, never);
    expect(await store().list('a/', 10, never)).toEqual(['a/1', 'a/2', 'a/3', 'a/4']);
    expect(await store().list('a/', 3, never)).toEqual(['a/1', 'a/2', 'a/3']);
  });

  it('that are missing, short or forbidden are told apart', async () => {
    await store().put('key', BYTES, never);
    expect(await faultOf(store().get('none', 1000, never))).toBe('missing');
    expect(await faultOf(store().get('key', 999, never))).toBe('short_read');
    const stranger = store({ secretAccessKey: 'wrong' });
    expect(await faultOf(stranger.get('key', 1000, never))).toBe('denied');
    expect(await faultOf(stranger.put('key', BYTES, never))).toBe('denied');
  });

  it('of a busy server are asked for again, but not for ever', async () => {
    await store().put('key', BYTES, never);
    commanded.push(status(503), status(429));
    expect(await store().get('key', 1000, never)).toEqual(BYTES);
    commanded.push(...Array.from({ length: 3 }, () => status(503)));
    requests = 0;
    expect(await faultOf(store().get('key', 1000, never))).toBe('unavailable');
    expect(requests).toBe(3);
  });

  it('whose connection breaks in the middle are short', async () => {
    commanded.push((_, response) => {
      response.writeHead(200, { 'content-length': 1000 }).write(BYTES.subarray(0, 400));
      setImmediate(() => response.destroy());
    });
    expect(await faultOf(store().get('key', 1000, never))).toBe('short_read');
  });

  it('that take too long are given up', async () => {
    const late = new AbortController();
    commanded.push(() => late.abort(new DOMException('late', 'TimeoutError')));
    expect(await faultOf(store().get('key', 1000, late.signal))).toBe('timeout');
  });

  it('are unavailable where nobody listens; a full server says so', async () => {
    expect(await faultOf(store({ endpoint: 'http://127.0.0.1:1' }).has('key', never))).toBe('unavailable');
    commanded.push(status(507));
    expect(await faultOf(store().put('key', BYTES, never))).toBe('no_space');
  });

  it('have an address of a form that is known', () => {
    expect(() => openObjectStore('ftp://there', { endpoint, ...ACCESS })).toThrow(
      'ftp://there is neither file:///folder nor s3://bucket/prefix',
    );
  });
});
