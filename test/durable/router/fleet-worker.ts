/** A worker's side of the fleet socket as a test needs it: builds frames, remembers what the router said. */

import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type BatchSchema,
  type KvEventSchema,
  Phase,
  RegisterSchema,
  type RouterFrame,
  RouterFrameSchema,
  WorkerFrameSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { ModelInput, ModelType, WorkerType } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { hashes } from './naive-indexes.ts';

type Frame = NonNullable<MessageInitShape<typeof WorkerFrameSchema>['frame']>;

export const workerFrame = (frame: Frame): Uint8Array =>
  toBinary(WorkerFrameSchema, create(WorkerFrameSchema, { frame }));

export const batchFrame = (value: MessageInitShape<typeof BatchSchema>): Uint8Array =>
  workerFrame({ case: 'batch', value });

type Overrides = MessageInitShape<typeof RegisterSchema>;

const REGISTER: Overrides = {
  instanceId: '00000000000000a1',
  epoch: 1n,
  component: 'backend',
  endpoint: 'generate',
  httpAddress: 'http://127.0.0.1:9001',
  grpcAddress: '127.0.0.1:9002',
  card: {
    name: 'tiny',
    aliases: ['small'],
    contextLengthTokens: 1024,
    kvCacheBlockSize: 4,
    migrationLimit: 3,
    modelInput: ModelInput.TOKENS,
    tokenizer: { sha256: 'ab'.repeat(32), sizeBytes: 10n },
    modelTypes: [ModelType.CHAT],
  },
  runtime: {
    totalKvBlocks: 100,
    maxNumSeqs: 8,
    dataParallelSize: 1,
    kvEventPublishingEnabled: true,
    deterministic: true,
    engine: 'mock',
  },
  workerType: WorkerType.AGGREGATED,
  cardChecksum: 'checksum',
};

export const registerMessage = (overrides: Overrides = {}) =>
  create(RegisterSchema, { ...REGISTER, ...overrides } as Overrides);

export const registerFrame = (overrides: Overrides = {}): Uint8Array =>
  workerFrame({ case: 'register', value: registerMessage(overrides) });

/** A stored event under the root (or `parent`), with equal engine ids and local hashes. */
export const storedEvent = (
  eventId: number,
  blocks: number[],
  options: { parent?: number; dpRank?: number } = {},
): MessageInitShape<typeof KvEventSchema> => ({
  eventId: BigInt(eventId),
  dpRank: options.dpRank ?? 0,
  data: {
    case: 'stored',
    value: {
      parentHash: options.parent === undefined ? new Uint8Array(0) : hashes(options.parent),
      blockHashes: hashes(...blocks),
      tokensHashes: hashes(...blocks),
    },
  },
});

/** The answer to SendDump of a worker that has these root paths. */
export const dumpFrame = (paths: number[][], lastEventId?: number): Uint8Array =>
  workerFrame({
    case: 'dump',
    value: {
      first: true,
      last: true,
      ...(lastEventId === undefined ? {} : { lastEventId: BigInt(lastEventId) }),
      stored: paths.map((blocks) => ({ blockHashes: hashes(...blocks), tokensHashes: hashes(...blocks) })),
    },
  });

export const endFrame = (reservation: number): Uint8Array =>
  batchFrame({ progress: [{ reservation, phase: Phase.END, finishReason: 'stop' }] });

export const parseRouterFrame = (bytes: Uint8Array): RouterFrame['frame'] =>
  fromBinary(RouterFrameSchema, bytes).frame;
