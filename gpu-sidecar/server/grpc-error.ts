/** A failure as a gRPC status: number, message, and the house's code in the trailers. */

import { Metadata, type StatusObject } from '@grpc/grpc-js';
import type { StatorError } from '../../durable/runtime/errors.ts';

export function grpcStatus(error: StatorError): Error & Partial<StatusObject> {
  const metadata = new Metadata();
  metadata.set('x-stator-code', error.code);
  if (error.retryAfterS !== null) metadata.set('retry-after', String(error.retryAfterS));
  return Object.assign(new Error(error.message), {
    code: error.grpcStatus,
    details: error.message,
    metadata,
  });
}
