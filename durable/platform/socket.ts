/** What an object does with its end of a WebSocket, in workerd and in Node alike. */

export interface ServerSocket {
  send(data: string | Uint8Array): void;
  close(code: number, reason: string): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  /** `code` 1006: the connection broke without a closing handshake. */
  addEventListener(type: 'close', listener: (event: { code: number }) => void): void;
  addEventListener(type: 'error', listener: () => void): void;
}

const NORMAL = 1000;
const BROKEN = 1006;

export interface SocketEars {
  receive(data: unknown): void;
  /** The close code, 1006 without a handshake. May come more than once. */
  closed(code: number): void;
}

/** Hears what comes and when the socket ends; answers the closing handshake. */
export function hearSocket(socket: ServerSocket, { receive, closed }: SocketEars): void {
  socket.addEventListener('message', ({ data }) => receive(data));
  socket.addEventListener('close', ({ code }) => {
    if (code !== BROKEN) answerClose(socket);
    closed(code);
  });
  socket.addEventListener('error', () => closed(BROKEN));
}

/** Completes the closing handshake where the runtime has not done it. */
function answerClose(socket: ServerSocket): void {
  try {
    socket.close(NORMAL, '');
  } catch (thrown) {
    // The runtime has closed its end already; there is nobody left to tell.
    if (!(thrown instanceof Error)) throw thrown;
  }
}
