/** The Register frame: who this worker is, where it answers and what it serves. */

import { createHash } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import type { Settings } from '../../durable/runtime/config.ts';
import type { EngineInfo } from '../engines/engine.ts';
import { type Register, RegisterSchema } from '../proto/gen/stator/v1/fleet_pb.js';
import { ModelCardSchema, WorkerType } from '../proto/gen/stator/v1/model_pb.js';
import { workerEndpoints } from './worker-endpoints.ts';

export interface WorkerIdentity {
  /** 16 hex digits. */
  instanceId: string;
  /** Unix milliseconds of the start. */
  epoch: number;
  /** `http://host:port` */
  httpAddress: string;
  /** `host:port` */
  grpcAddress: string;
}

type RegisterSettings = Pick<Settings, 'workerTaints' | 'workerType'>;

const ROLES = {
  aggregated: { workerType: WorkerType.AGGREGATED, component: 'backend' },
  prefill: { workerType: WorkerType.PREFILL, component: 'prefill' },
  decode: { workerType: WorkerType.DECODE, component: 'backend' },
} as const satisfies Record<Settings['workerType'], Partial<Register>>;

export function registerFrame(
  identity: WorkerIdentity,
  info: EngineInfo,
  { workerTaints, workerType }: RegisterSettings = { workerTaints: '', workerType: 'aggregated' },
): Register {
  return create(RegisterSchema, {
    ...identity,
    epoch: BigInt(identity.epoch),
    ...ROLES[workerType],
    endpoint: 'generate',
    endpoints: workerEndpoints(info, ROLES[workerType].workerType),
    card: info.card,
    runtime: {
      totalKvBlocks: info.totalBlocks,
      maxNumSeqs: info.maxNumSeqs,
      maxNumBatchedTokens: info.maxNumBatchedTokens,
      dataParallelSize: 1,
      kvEventPublishingEnabled: true,
      deterministic: info.deterministic,
      engine: info.engine,
      taints: workerTaints.split(',').flatMap((taint) => taint.trim() || []),
    },
    cardChecksum: cardChecksum(info),
  });
}

/**
 * Hash over what the card says of the model; equal cards have equal bytes because a card holds no maps. The file's time
 * is left out: it differs between copies of one file.
 */
function cardChecksum({ card }: EngineInfo): string {
  const bytes = toBinary(ModelCardSchema, { ...card, createdMs: 0n });
  return createHash('sha256').update(bytes).digest('hex');
}
