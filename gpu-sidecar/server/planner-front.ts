/**
 * The planner's service on native gRPC: the bytes of a call go to the platform as they are and those of the answer come back
 * (`platform-call.ts`), as the router's do.
 */

import type { Server, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { toStatorError } from '../../durable/runtime/errors.ts';
import { callerGone } from './caller-gone.ts';
import { grpcStatus } from './grpc-error.ts';
import type { PlatformCaller } from './platform-call.ts';

const PLANNER = '/stator.v1.Planner/';
const asIs = (bytes: Buffer): Buffer => bytes;

export function servePlanner(server: Server, platform: PlatformCaller): void {
  for (const method of ['Wait', 'Complete', 'Decisions']) {
    const handle = (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void => {
      const body = { type: 'application/proto', bytes: call.request };
      platform
        .get(PLANNER + method, { metadata: call.metadata, signal: callerGone(call), body })
        .then(async (response) => done(null, Buffer.from(await response.arrayBuffer())))
        .catch((thrown: unknown) => done(grpcStatus(toStatorError(thrown))));
    };
    server.register(PLANNER + method, handle, asIs, asIs, 'unary');
  }
}
