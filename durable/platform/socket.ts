/** What an object may do with its end of a WebSocket, in workerd and in Node alike. */
export interface ServerSocket {
  send(data: Uint8Array): void;
  close(code: number, reason: string): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close' | 'error', listener: () => void): void;
}
