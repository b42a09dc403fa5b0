/** `tcp` against ends that do not keep to the rules, and with certificates of the fleet. */

import { createServer, type Server, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { TcpBackend } from '../../../../gpu-sidecar/transfer/backends/tcp.ts';
import {
  encodeBlock,
  encodeRefusal,
  FRAME_BYTES,
} from '../../../../gpu-sidecar/transfer/backends/tcp-frames.ts';
import { TcpWindow } from '../../../../gpu-sidecar/transfer/backends/tcp-window.ts';
import { certificateAuthority } from '../../../harness/certificate-files.ts';
import { blocksOfWord, LAYOUT } from '../../kvbm/named-blocks.ts';
import { ReaderEnd, SourceEnd } from '../transfer-ends.ts';

const NEVER = new AbortController().signal;
const CAPABILITY = new Uint8Array(16).fill(7);
const LENGTH = 1_000;

/** A source that does this with each connection once it has said hello. */
async function strange(behave: (socket: Socket) => void) {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => behave(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const window = new TcpWindow({ host: '127.0.0.1', port }, null);
  return {
    window,
    async [Symbol.asyncDispose]() {
      await window.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const frame = (index: number, length = LENGTH) => encodeBlock({ index, length, hash: 1n });

describe('a reader', () => {
  const cases = [
    [
      'a connection that ends inside a block',
      'short_read',
      (s: Socket) => s.end(Buffer.concat([frame(0), new Uint8Array(LENGTH - 1)])),
    ],
    [
      'a connection that ends inside a header',
      'short_read',
      (s: Socket) => s.end(frame(0).subarray(0, FRAME_BYTES - 1)),
    ],
    ['a connection that ends before a block', 'reset', (s: Socket) => s.end()],
    ['a connection that is reset', 'reset', (s: Socket) => s.resetAndDestroy()],
    ['a capability that has ended', 'stale_handle', (s: Socket) => s.end(encodeRefusal())],
    ['a block that nobody asked for', 'protocol', (s: Socket) => s.write(frame(5))],
    ['a block of another length', 'protocol', (s: Socket) => s.write(frame(0, LENGTH + 1))],
    ['bytes that are no frame', 'protocol', (s: Socket) => s.write(Buffer.alloc(FRAME_BYTES, 'x'))],
  ] as const;
  test.each(cases)('%s: %s', async (_, fault, behave) => {
    await using source = await strange(behave);
    const bytes = new Uint8Array(LENGTH);
    source.window.expect(0, { bytes });
    await source.window.begin(CAPABILITY, NEVER);
    await expect(source.window.arrived(0)).rejects.toMatchObject({ fault });
  });

  test('a source that does not listen is unreachable', async () => {
    const window = new TcpWindow({ host: '127.0.0.1', port: 1 }, null);
    await expect(window.begin(CAPABILITY, NEVER)).rejects.toMatchObject({ fault: 'unreachable' });
  });
});

test('a capability that was never granted gets no block', async () => {
  await using backend = await TcpBackend.listen({ host: '127.0.0.1', port: 0, tls: null });
  const window = (await backend.offer(backend.announce()))!;
  window.expect(0, { slot: 0, bytes: new Uint8Array(LENGTH) });
  await window.begin(CAPABILITY, NEVER);
  await expect(window.arrived(0)).rejects.toMatchObject({ fault: 'stale_handle' });
});

test('a capability is good for one connection and only while its grant lives', async () => {
  await using backend = await TcpBackend.listen({ host: '127.0.0.1', port: 0, tls: null });
  const ending = new AbortController();
  const pusher = await backend.open(new Uint8Array(), { capability: CAPABILITY, signal: ending.signal });
  const dial = async () => {
    const window = (await backend.offer(backend.announce()))!;
    window.expect(0, { slot: 0, bytes: new Uint8Array(LENGTH) });
    await window.begin(CAPABILITY, NEVER);
    return window;
  };
  const first = await dial();
  const second = await dial();
  await expect(second.arrived(0)).rejects.toMatchObject({ fault: 'stale_handle' });
  ending.abort(null);
  await expect(first.arrived(0)).rejects.toMatchObject({ fault: 'reset' });
  await pusher.close();
  await expect((await dial()).arrived(0)).rejects.toMatchObject({ fault: 'stale_handle' });
});

describe('with TLS of the fleet', () => {
  const authority = certificateAuthority('fleet');
  const strangers = certificateAuthority('strangers');
  const open = (tls: { cert: string; key: string; ca: string } | null) => () =>
    TcpBackend.listen({ host: '127.0.0.1', port: 0, tls });
  const blocks = blocksOfWord('abc');

  test('blocks come over connections that show certificates', async () => {
    const tls = authority.issue(['127.0.0.1']).pem;
    const options = { layout: LAYOUT, capacityBlocks: 10, open: open(tls), tls };
    await using source = await SourceEnd.open(options);
    await using reader = await ReaderEnd.open(options);
    source.blocks.put(blocks);
    const result = await reader.puller.pull({ address: source.address, blocks, signal: NEVER });
    expect(result).toMatchObject({ blocks: 3, fault: null, backend: 'tcp' });
  });

  test('a reader with the certificate of a stranger gets nothing', async () => {
    const fleet = authority.issue(['127.0.0.1']).pem;
    const stranger = { ...strangers.issue(['127.0.0.1']).pem, ca: fleet.ca };
    await using backend = await open(fleet)();
    const window = new TcpWindow(JSON.parse(Buffer.from(backend.announce()).toString()), stranger);
    window.expect(0, { bytes: new Uint8Array(LENGTH) });
    await window.begin(CAPABILITY, NEVER).catch(() => {});
    await expect(window.arrived(0)).rejects.toMatchObject({ name: 'TransferFault' });
  });

  test('an end without TLS has no way to one with it', async () => {
    await using fleet = await open(authority.issue(['127.0.0.1']).pem)();
    await using plain = await open(null)();
    expect(await plain.offer(fleet.announce())).toBe(null);
    expect(await fleet.offer(plain.announce())).toBe(null);
  });
});
