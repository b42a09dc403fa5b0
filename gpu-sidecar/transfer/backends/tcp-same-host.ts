/**
 * A connection whose two ends have one address crosses no network: there is nothing to be fair to, and what paces it for a network's sake
 * (BBR) only costs: 1.1 to 1.3 GB/s where `reno` had 1.5 to 3.3 (docs/decisions/0016). Linux alone; elsewhere, and when it
 * cannot be set, nothing is changed.
 */

import type { Socket } from 'node:net';
import koffi from 'koffi';

const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;
const UNPACED = Buffer.from('reno');

type SetOption = (fd: number, level: number, option: number, value: Uint8Array, length: number) => number;

const setOption: SetOption | null = load();

export function unpaceWithinHost(socket: Socket): void {
  // Node says the number nowhere else; without it nothing happens.
  const fd = (socket as { _handle?: { fd?: number } })._handle?.fd;
  const within = socket.remoteAddress !== undefined && socket.remoteAddress === socket.localAddress;
  if (within && fd !== undefined && fd >= 0)
    setOption?.(fd, IPPROTO_TCP, TCP_CONGESTION, UNPACED, UNPACED.length);
}

function load(): SetOption | null {
  if (process.platform !== 'linux') return null;
  try {
    const libc = koffi.load('libc.so.6');
    return libc.func('setsockopt', 'int', ['int', 'int', 'int', koffi.pointer('uint8'), 'uint']);
  } catch {
    return null;
  }
}
