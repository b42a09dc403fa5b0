/** Tokenize: for models whose tokenizer does not run in an isolate. */

import { create } from '@bufbuild/protobuf';
import { StatorError } from '../../../durable/runtime/errors.ts';
import {
  type TokenizeRequest,
  type TokenizeResponse,
  TokenizeResponseSchema,
} from '../../proto/gen/stator/v1/worker_pb.js';
import type { Worker } from '../worker.ts';

export function tokenize(worker: Worker, request: TokenizeRequest): TokenizeResponse {
  const { engine } = worker;
  if (engine.tokenize === undefined) {
    throw new StatorError('unsupported_parameter', `engine ${engine.info.engine} does not tokenise`);
  }
  const { parseSpecial, guard } = request;
  const ids = engine.tokenize(request.text, { parseSpecial, guard });
  const tokenIds = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  return create(TokenizeResponseSchema, { tokenIds });
}
