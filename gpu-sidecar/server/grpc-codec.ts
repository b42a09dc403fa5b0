/** How gRPC's server reads and writes messages of a schema. */

import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';

export const encoder =
  <Desc extends DescMessage>(schema: Desc) =>
  (message: MessageShape<Desc>): Buffer =>
    Buffer.from(toBinary(schema, message));

export const decoder =
  <Desc extends DescMessage>(schema: Desc) =>
  (bytes: Buffer): MessageShape<Desc> =>
    fromBinary(schema, bytes);
