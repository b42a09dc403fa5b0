/** The endpoints of a model's worker, as discovery lists them. What only operators may do is not among them. */

import { create } from '@bufbuild/protobuf';
import type { EngineInfo } from '../engines/engine.ts';
import { type EndpointAddress, EndpointAddressSchema } from '../proto/gen/stator/v1/fleet_pb.js';
import { ModelType, WorkerType } from '../proto/gen/stator/v1/model_pb.js';

const WORKER = '/stator.v1.Worker/';

export function workerEndpoints({ card }: EngineInfo, type: WorkerType): EndpointAddress[] {
  const both = (name: string, method: string) =>
    create(EndpointAddressSchema, { name, httpPath: WORKER + method, grpcPath: WORKER + method });
  const grpcOnly = (name: string, grpcPath: string) => create(EndpointAddressSchema, { name, grpcPath });
  const embeds = card.modelTypes.includes(ModelType.EMBEDDING);
  return [
    type === WorkerType.PREFILL ? grpcOnly('generate', `${WORKER}Prefill`) : both('generate', 'Generate'),
    ...(embeds ? [both('embed', 'Embed')] : []),
    both('tokenize', 'Tokenize'),
    both('detokenize', 'Detokenize'),
    both('clear_kv_blocks', 'ClearKvBlocks'),
    both('health', 'Health'),
    grpcOnly('kv_index', '/stator.v1.KvIndex/Query'),
  ];
}
