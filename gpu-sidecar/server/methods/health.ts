/** Health: the lifecycle phase and the load. */

import { create } from '@bufbuild/protobuf';
import {
  type HealthRequest,
  type HealthResponse,
  HealthResponseSchema,
} from '../../proto/gen/stator/v1/worker_pb.js';
import type { Worker } from '../worker.ts';

export function health(worker: Worker, _request: HealthRequest): HealthResponse {
  const { running, waiting } = worker.engine.load();
  return create(HealthResponseSchema, {
    phase: worker.lifecycle.phase,
    running,
    waiting,
    uptimeMs: BigInt(Math.round(worker.clock.nowMs() - worker.startedMs)),
    instanceId: worker.instanceId,
    model: worker.engine.info.card.name,
  });
}
