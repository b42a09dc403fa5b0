/** A job of the prefill queue as a prefill worker has it. */

import { StatorError } from '../../durable/runtime/errors.ts';
import { type LeasedJob, PrefillWorkSchema } from '../proto/gen/stator/v1/prefill_queue_pb.js';
import { decodeMessage } from '../server/decode-message.ts';

export interface QueuedPrefill {
  requestId: string;
  /** Instance id of the decode worker, and its native gRPC. */
  decodeInstanceId: string;
  decodeGrpcAddress: string;
  priority: number;
  /** From 1 up: how often somebody was given it. */
  delivery: number;
  /** Whole blocks of the prompt. */
  tokenIds: Uint32Array;
  /** Packed LE u64, or empty. */
  blockHashes: Uint8Array;
  hashSeed: bigint;
}

/** Throws `invalid_frame`: nobody can compute it. */
export function queuedPrefill({ requestId, producer, priority, delivery, work }: LeasedJob): QueuedPrefill {
  const { tokenIds, blockHashes, hashSeed, decodeGrpcAddress } = decodeMessage(PrefillWorkSchema, work);
  if (tokenIds.byteLength === 0 || tokenIds.byteLength % 4 !== 0 || blockHashes.byteLength % 8 !== 0) {
    throw new StatorError('invalid_frame', 'a prefill job has tokens of 4 bytes and hashes of 8');
  }
  return {
    requestId,
    decodeInstanceId: producer,
    decodeGrpcAddress,
    priority,
    delivery,
    // A copy, because the bytes of a message need not be aligned.
    tokenIds: new Uint32Array(tokenIds.slice().buffer),
    blockHashes,
    hashSeed,
  };
}
