/** Message bytes from outside: what protobuf cannot read is `invalid_frame`, with the message's name. */

import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { StatorError } from '../../durable/runtime/errors.ts';

export function decodeMessage<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StatorError('invalid_frame', `not a ${schema.typeName}: ${reason}`, { cause });
  }
}
