/** Frames of the fleet socket as bytes: the rare worker frames in, router frames out. Batches have `batch-reader.ts`. */

import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  RouterFrameSchema,
  type WorkerFrame,
  WorkerFrameSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { StatorError } from '../runtime/errors.ts';

type Frame = NonNullable<MessageInitShape<typeof RouterFrameSchema>['frame']>;

/** Throws `invalid_frame` for bytes that are no frame, or a frame of no known kind. */
export function decodeWorkerFrame(bytes: Uint8Array): Exclude<WorkerFrame['frame'], { case: undefined }> {
  let frame: WorkerFrame['frame'];
  try {
    frame = fromBinary(WorkerFrameSchema, bytes).frame;
  } catch (thrown) {
    throw new StatorError('invalid_frame', `a frame that is not protobuf: ${String(thrown)}`);
  }
  if (frame.case === undefined) throw new StatorError('invalid_frame', 'a frame of an unknown kind');
  return frame;
}

export const encodeRouterFrame = (frame: Frame): Uint8Array =>
  toBinary(RouterFrameSchema, create(RouterFrameSchema, { frame }));

/** The answer to every heartbeat. */
export const ACK = encodeRouterFrame({ case: 'ack', value: {} });
