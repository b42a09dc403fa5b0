/** Detokenize: the bytes of each token, for models whose tokenizer does not run in an isolate. */

import { create } from '@bufbuild/protobuf';
import {
  type DetokenizeRequest,
  type DetokenizeResponse,
  DetokenizeResponseSchema,
} from '../../proto/gen/stator/v1/worker_pb.js';
import { tokenIds } from '../generate-request.ts';
import type { Worker } from '../worker.ts';

export function detokenize(worker: Worker, request: DetokenizeRequest): DetokenizeResponse {
  const { vocabulary } = worker.engine;
  const ids = tokenIds(request.tokenIds, 'token_ids', vocabulary);
  return create(DetokenizeResponseSchema, { pieces: Array.from(ids, (id) => vocabulary.tokenBytes(id)) });
}
