/** A client's end of a socket, of workerd or of the Node runtime, as the contract suite uses it. */

import type { ProbeSocket } from './durable-object.contract.ts';

/** What both kinds have. */
interface ClientSocket {
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number }) => void): void;
  send(bytes: Uint8Array): void;
  close(code: number, reason?: string): void;
}

export function probeSocket(socket: ClientSocket, protocol: string | null): ProbeSocket {
  const arrived: Uint8Array[] = [];
  const waiting: ((bytes: Uint8Array) => void)[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<number>();
  socket.addEventListener('message', ({ data }) => {
    const bytes = new Uint8Array(data as ArrayBuffer);
    const wanted = waiting.shift();
    if (wanted) wanted(bytes);
    else arrived.push(bytes);
  });
  socket.addEventListener('close', ({ code }) => resolve(code));
  return {
    protocol,
    closed,
    send: (bytes) => socket.send(bytes),
    close: (code) => socket.close(code, ''),
    next() {
      const first = arrived.shift();
      return first ? Promise.resolve(first) : new Promise((taken) => waiting.push(taken));
    },
  };
}
