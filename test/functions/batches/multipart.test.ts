/** A form is read the same however it is cut into pieces; what is no form is refused. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boundaryOf, MultipartReader } from '../../../functions/batches/multipart.ts';
import { concat } from '../../../functions/bytes.ts';

interface Part {
  name: string;
  filename: string | null;
  content: Uint8Array;
}

function read(boundary: string, pieces: readonly Uint8Array[]): Part[] {
  const reader = new MultipartReader(boundary);
  const parts: Part[] = [];
  for (const piece of pieces) {
    for (const event of reader.push(piece)) {
      if (event.kind === 'part') parts.push({ ...event, content: new Uint8Array() });
      else parts.at(-1)!.content = concat([parts.at(-1)!.content, event.bytes]);
    }
  }
  reader.end();
  return parts.map(({ name, filename, content }) => ({ name, filename, content }));
}

/** What a client sends, by the runtime's own writer. */
async function written(parts: readonly Part[]): Promise<{ boundary: string; bytes: Uint8Array }> {
  const form = new FormData();
  for (const { name, filename, content } of parts) {
    const blob = new Blob([content as Uint8Array<ArrayBuffer>]);
    if (filename === null) form.append(name, new TextDecoder().decode(content));
    else form.append(name, blob, filename);
  }
  const response = new Response(form);
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { boundary: boundaryOf(response.headers.get('content-type')), bytes };
}

const bytes = fc.array(fc.constantFrom(0x0d, 0x0a, 0x2d, 0x61, 0x00, 0xff), { maxLength: 40 });
const part = fc.record({
  name: fc.constantFrom('file', 'purpose', 'a "b" c', 'ü[1]'),
  filename: fc.constantFrom('in.jsonl', 'a "quote".txt', 'ü.txt'),
  content: bytes.map((values) => Uint8Array.from(values)),
});

test('parts come as they were, cut anywhere', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(600), { maxLength: 10 }),
      async (parts, at) => {
        const { boundary, bytes: all } = await written(parts);
        const cuts = [...new Set(at.map((place) => Math.min(place, all.length)))].sort((a, b) => a - b);
        const pieces = [0, ...cuts].map((from, i) => all.subarray(from, cuts[i] ?? all.length));
        expect(read(boundary, pieces)).toEqual(parts);
      },
    ),
  );
});

test('byte for byte', async () => {
  const parts = [{ name: 'file', filename: 'f', content: Uint8Array.from([1, 13, 10, 45, 45, 2]) }];
  const { boundary, bytes: all } = await written(parts);
  expect(
    read(
      boundary,
      Array.from(all, (byte) => Uint8Array.of(byte)),
    ),
  ).toEqual(parts);
});

const encoder = new TextEncoder();

test('what breaks off or is no form is refused', () => {
  const whole = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n';
  expect(read('b', [encoder.encode(whole)])).toHaveLength(1);
  expect(read('b', [encoder.encode(`preamble\r\n${whole}epilogue`)])).toHaveLength(1);
  for (const text of ['', '--b', whole.slice(0, -6), '--b no\r\n\r\n', '--b\r\nname: a\r\n\r\nx\r\n--b--']) {
    expect(() => read('b', [encoder.encode(text)]), JSON.stringify(text)).toThrow('multipart');
  }
  const endless = new Uint8Array(20_000).fill(0x61);
  expect(() => read('b', [encoder.encode('--b\r\n'), endless])).toThrow('too long');
  expect(() => boundaryOf('application/json')).toThrow('multipart/form-data');
  expect(() => boundaryOf(null)).toThrow('multipart/form-data');
  expect(boundaryOf('multipart/form-data; charset=utf-8; boundary="a b"')).toBe('a b');
});
