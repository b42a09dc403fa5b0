/** Connections within a host are not paced, whatever the system does with others. */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import koffi from 'koffi';
import { expect, test } from 'vitest';
import { unpaceWithinHost } from '../../../../gpu-sidecar/transfer/backends/tcp-same-host.ts';

function congestionControlOf(socket: Socket): string {
  const libc = koffi.load('libc.so.6');
  const pointer = koffi.pointer('uint8');
  const getOption = libc.func('getsockopt', 'int', ['int', 'int', 'int', pointer, koffi.pointer('uint')]);
  const value = Buffer.alloc(16);
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  expect(getOption(fd, 6, 13, value, Uint32Array.of(value.length))).toBe(0);
  return value.toString().replace(/\0.*/s, '');
}

test('the accepted end has reno', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const other = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  unpaceWithinHost(socket);
  expect(congestionControlOf(socket)).toBe('reno');
  other.destroy();
  socket.destroy();
  server.close();
});
