/** Prefill over native gRPC: progress as messages of a stream, a failure as its status. */

import { create } from '@bufbuild/protobuf';
import type { ServerWritableStream } from '@grpc/grpc-js';
import {
  type PrefillProgress,
  PrefillProgressSchema,
  type PrefillRequest,
} from '../proto/gen/stator/v1/worker_pb.js';
import { grpcStatus } from './grpc-error.ts';
import { prefill } from './methods/prefill.ts';
import type { Worker } from './worker.ts';

export function servePrefill(
  worker: Worker,
  stream: ServerWritableStream<PrefillRequest, PrefillProgress>,
): void {
  const call = prefill(worker, stream.request, {
    progress: (phase, cachedTokens) =>
      void stream.write(create(PrefillProgressSchema, { phase, cachedTokens })),
    end: () => void stream.end(),
    refuse: (error) => void stream.emit('error', grpcStatus(error)),
  });
  for (const event of ['cancelled', 'close', 'finish'] as const) stream.on(event, () => call.closed());
}
