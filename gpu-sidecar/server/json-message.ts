/** Protobuf messages as JSON (its standard mapping), for whoever calls a worker by hand or from another component. */

import {
  type DescMessage,
  fromJson,
  type JsonValue,
  type MessageShape,
  toJsonString,
} from '@bufbuild/protobuf';
import { StatorError } from '../../durable/runtime/errors.ts';

export const isJsonType = (contentType: string | undefined): boolean =>
  /^application\/json\b/i.test(contentType ?? '');

/** Throws `invalid_json`, or `invalid_request` naming the field. An empty body is the message without fields. */
export function messageOfJson<Desc extends DescMessage>(schema: Desc, body: Uint8Array): MessageShape<Desc> {
  let json: JsonValue;
  try {
    json = body.length === 0 ? {} : (JSON.parse(Buffer.from(body).toString('utf8')) as JsonValue);
  } catch (cause) {
    throw new StatorError('invalid_json', `the body is not JSON: ${(cause as Error).message}`, { cause });
  }
  try {
    return fromJson(schema, json);
  } catch (cause) {
    throw new StatorError('invalid_request', `the body is no ${schema.name}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

export const jsonOfMessage = <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Buffer =>
  Buffer.from(toJsonString(schema, message, { alwaysEmitImplicit: true }));
