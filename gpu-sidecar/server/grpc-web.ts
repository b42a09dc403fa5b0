/**
 * gRPC-Web framing of unary calls (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md): a message frame
 * (flag 0, 32-bit big-endian length), and on the way back a trailer frame (flag 0x80).
 */

import { StatorError } from '../../durable/runtime/errors.ts';

export const GRPC_WEB = 'application/grpc-web+proto';

const HEADER_BYTES = 5;
const TRAILER_FLAG = 0x80;

/** The message of a request body. Throws `invalid_frame`. */
export function unframe(body: Buffer): Buffer {
  if (body.length < HEADER_BYTES) throw new StatorError('invalid_frame', 'gRPC-Web: the frame is truncated');
  if (body[0] !== 0) throw new StatorError('invalid_frame', 'gRPC-Web: compressed frames are not supported');
  const length = body.readUInt32BE(1);
  if (body.length !== HEADER_BYTES + length) {
    throw new StatorError('invalid_frame', 'gRPC-Web: the frame does not have the length it says');
  }
  return body.subarray(HEADER_BYTES);
}

/** A response body: the message, when there is one, and the status. */
export function frame(message: Uint8Array | null, error: StatorError | null): Buffer {
  const status = error?.grpcStatus ?? 0;
  const detail =
    error === null
      ? ''
      : `grpc-message:${encodeURIComponent(error.message.toWellFormed())}\r\nx-stator-code:${error.code}\r\n`;
  const trailer = frameOf(TRAILER_FLAG, Buffer.from(`grpc-status:${status}\r\n${detail}`));
  return message === null ? trailer : Buffer.concat([frameOf(0, message), trailer]);
}

function frameOf(flag: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head[0] = flag;
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}
