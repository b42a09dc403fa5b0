/** What an object may do with its end of a WebSocket, in workerd and in Node alike. */
export interface ServerSocket {
  send(data: string | Uint8Array): void;
  close(code: number, reason: string): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  /** `code` 1006: the connection broke without a closing handshake. */
  addEventListener(type: 'close', listener: (event: { code: number }) => void): void;
  addEventListener(type: 'error', listener: () => void): void;
}
