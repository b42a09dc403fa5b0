/** What a simulated worker says of itself: who it is, that its cache is empty, and at last that it drains. */

import { create, toBinary } from '@bufbuild/protobuf';
import {
  KvDumpSchema,
  RegisterSchema,
  WorkerFrameSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { ModelInput, WorkerType } from '../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';

/** The model that all simulated workers serve. */
export const SIM_MODEL = 'replayed';

export interface SimWorkerCard {
  /** Number of the worker in its pool, from 0. */
  number: number;
  blockSizeTokens: number;
  totalBlocks: number;
  maxNumSeqs: number;
  maxNumBatchedTokens: number;
  /** Off in modes that never look at what is cached. */
  publishesKvEvents: boolean;
}

/** Instance ids sort as the workers are numbered. */
export const instanceId = (number: number): string => number.toString(16).padStart(16, '0');

export function registerFrame(worker: SimWorkerCard): Uint8Array {
  const { blockSizeTokens, totalBlocks, maxNumSeqs, maxNumBatchedTokens, publishesKvEvents } = worker;
  const value = create(RegisterSchema, {
    instanceId: instanceId(worker.number),
    epoch: 1n,
    component: 'backend',
    endpoint: 'generate',
    httpAddress: `http://127.0.0.1:${1 + worker.number}`,
    card: {
      name: SIM_MODEL,
      contextLengthTokens: blockSizeTokens * totalBlocks,
      kvCacheBlockSize: blockSizeTokens,
      modelInput: ModelInput.TEXT,
    },
    runtime: {
      totalKvBlocks: totalBlocks,
      maxNumSeqs,
      maxNumBatchedTokens,
      dataParallelSize: 1,
      kvEventPublishingEnabled: publishesKvEvents,
      deterministic: true,
      engine: 'mock',
    },
    workerType: WorkerType.AGGREGATED,
    cardChecksum: SIM_MODEL,
  });
  return toBinary(WorkerFrameSchema, create(WorkerFrameSchema, { frame: { case: 'register', value } }));
}

/** The worker takes no new requests. */
export const drainingFrame = (): Uint8Array =>
  toBinary(WorkerFrameSchema, create(WorkerFrameSchema, { frame: { case: 'draining', value: {} } }));

export function emptyDumpFrame(): Uint8Array {
  const value = create(KvDumpSchema, { dpRank: 0, first: true, last: true });
  return toBinary(WorkerFrameSchema, create(WorkerFrameSchema, { frame: { case: 'dump', value } }));
}
