/** A job of the prefill queue on this worker: the same as a call of `Prefill`, with the queue in place of the caller. */

import { create } from '@bufbuild/protobuf';
import { PrefillPhase, PrefillRequestSchema } from '../proto/gen/stator/v1/worker_pb.js';
import { prefill } from '../server/methods/prefill.ts';
import type { Worker } from '../server/worker.ts';
import type { QueueConsumerOptions } from './queue-consumer.ts';

export const computeOn =
  (worker: Worker): QueueConsumerOptions['compute'] =>
  ({ requestId, tokenIds, blockHashes, hashSeed, priority, decodeInstanceId }, { signal, begun }) => {
    const { promise, resolve, reject } = Promise.withResolvers<{ cachedTokens: number }>();
    const request = create(PrefillRequestSchema, {
      requestId,
      tokenIds: new Uint8Array(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength),
      blockHashes,
      hashSeed,
      priority,
      decodeInstanceId,
      // Nobody reserved anything: the router does not know who takes a job.
      reservation: 0,
    });
    const call = prefill(worker, request, {
      progress(phase, cachedTokens) {
        if (phase === PrefillPhase.ACCEPTED) begun();
        else if (phase === PrefillPhase.COMPUTED) resolve({ cachedTokens });
      },
      end() {},
      refuse: reject,
    });
    const stop = () => {
      call.closed();
      reject(signal.reason);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', stop));
  };
