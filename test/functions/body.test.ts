/** The request body: bounds, UTF-8 and JSON, declared and chunked. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readJson } from '../../functions/body.ts';

const LIMIT = 1_000;

/** As a server hands it over: with the length that the client declared, or chunked without. */
function request(bytes: Uint8Array, declared: boolean): Request {
  const body = bytes as Uint8Array<ArrayBuffer>;
  if (declared) {
    return new Request('http://x/', {
      method: 'POST',
      body,
      headers: { 'content-length': String(bytes.byteLength) },
    });
  }
  const stream = new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.byteLength; at += 7) controller.enqueue(body.slice(at, at + 7));
      controller.close();
    },
  });
  return new Request('http://x/', { method: 'POST', body: stream, duplex: 'half' } as RequestInit);
}

const bytesOf = (text: string) => new TextEncoder().encode(text);

test.each([true, false])(
  'JSON arrives as it is, characters of every length included (declared: %s)',
  async (declared) => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 2, stringUnit: 'grapheme' }), async (json) => {
        const bytes = bytesOf(json);
        fc.pre(bytes.byteLength <= LIMIT);
        expect(await readJson(request(bytes, declared), LIMIT)).toEqual(JSON.parse(json));
      }),
    );
  },
);

test('a replacement character that the client wrote is no damage', async () => {
  expect(await readJson(request(bytesOf('"a\ufffdb"'), true), LIMIT)).toBe('a\ufffdb');
});

test.each([true, false])('bytes that are no UTF-8 are refused (declared: %s)', async (declared) => {
  for (const damage of [[0xff], [0xc3], [0xe2, 0x82], [0x80], [0xc0, 0xaf], [0xed, 0xa0, 0x80]]) {
    const bytes = Uint8Array.from([0x22, ...damage, 0x22]);
    await expect(readJson(request(bytes, declared), LIMIT)).rejects.toMatchObject({ code: 'invalid_json' });
  }
});

test.each([true, false])('a body over the limit is refused (declared: %s)', async (declared) => {
  const bytes = new Uint8Array(LIMIT + 1).fill(0x20);
  await expect(readJson(request(bytes, declared), LIMIT)).rejects.toMatchObject({ code: 'body_too_large' });
});

test.each(['', '{', '{"a":}', 'nul', '{"a":1}x'])('what is no JSON is refused: %j', async (text) => {
  await expect(readJson(request(bytesOf(text), true), LIMIT)).rejects.toMatchObject({ code: 'invalid_json' });
});
