/** GetArtifact: a file that the model card names by its content. */

import { create } from '@bufbuild/protobuf';
import { StatorError } from '../../../durable/runtime/errors.ts';
import {
  type GetArtifactRequest,
  type GetArtifactResponse,
  GetArtifactResponseSchema,
} from '../../proto/gen/stator/v1/worker_pb.js';
import type { Worker } from '../worker.ts';

export function getArtifact(worker: Worker, request: GetArtifactRequest): GetArtifactResponse {
  const data = worker.engine.info.artifacts.get(request.sha256);
  if (data === undefined) {
    throw new StatorError('not_found', 'sha256: this worker has no such artifact', { param: 'sha256' });
  }
  return create(GetArtifactResponseSchema, { data });
}
