/** Drain: stops taking requests, finishes the running ones, then exits. Answers at once. */

import { create } from '@bufbuild/protobuf';
import {
  type DrainRequest,
  type DrainResponse,
  DrainResponseSchema,
} from '../../proto/gen/stator/v1/worker_pb.js';
import type { Worker } from '../worker.ts';

export function drain(worker: Worker, request: DrainRequest): DrainResponse {
  worker.drain(request.deadlineMs === 0 ? worker.limits.drainMs : request.deadlineMs);
  return create(DrainResponseSchema);
}
