/**
 * gRPC-Web framing of a unary call (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md): a message frame (flag 0,
 * 32-bit big-endian length), and on the way back a trailer frame (flag 0x80) with the status.
 */
import { StatorError } from '../../durable/runtime/errors.ts';
import { concat } from '../bytes.ts';

export const GRPC_WEB = 'application/grpc-web+proto';

const HEADER_BYTES = 5;
const TRAILER_FLAG = 0x80;
const encoder = new TextEncoder();

/** The message of a request body. Throws `invalid_frame`. */
export function unframed(body: Uint8Array): Uint8Array {
  if (body.length < HEADER_BYTES || body[0] !== 0) {
    throw new StatorError('invalid_frame', 'gRPC-Web: the body is no uncompressed message frame');
  }
  const length = new DataView(body.buffer, body.byteOffset).getUint32(1);
  if (body.length !== HEADER_BYTES + length) {
    throw new StatorError('invalid_frame', 'gRPC-Web: the frame does not have the length it says');
  }
  return body.subarray(HEADER_BYTES);
}

export function framed(message: Uint8Array): Uint8Array {
  return concat([frame(0, message), trailer('grpc-status:0\r\n')]);
}

export function framedError(error: StatorError): Uint8Array {
  const message = encodeURIComponent(error.message.toWellFormed());
  return trailer(
    `grpc-status:${error.grpcStatus}\r\ngrpc-message:${message}\r\nx-stator-code:${error.code}\r\n`,
  );
}

const trailer = (text: string) => frame(TRAILER_FLAG, encoder.encode(text));

function frame(flag: number, payload: Uint8Array): Uint8Array {
  const head = new Uint8Array(HEADER_BYTES);
  head[0] = flag;
  new DataView(head.buffer).setUint32(1, payload.length);
  return concat([head, payload]);
}
