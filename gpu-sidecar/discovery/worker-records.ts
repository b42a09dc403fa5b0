/**
 * A model's worker in Dynamo's keys (semantics §4.1, §4.2): an instance for each endpoint, and the card of its model, with Dynamo's
 * names for what Dynamo has. The transport is `http`: whoever speaks another request plane can read who is there, not call.
 */

import { instanceKey, instanceRecord } from '../../durable/runtime/instance.ts';
import type { Register } from '../proto/gen/stator/v1/fleet_pb.js';
import { ModelInput, ModelType, WorkerType } from '../proto/gen/stator/v1/model_pb.js';
import type { DiscoveryEntry } from './discovery.ts';

export function workerRecords(namespace: string, register: Register): DiscoveryEntry[] {
  const { component, endpoint, endpoints, grpcAddress, httpAddress, instanceId } = register;
  const instances = endpoints.map(({ name, httpPath, grpcPath }) => {
    const instance = {
      namespace,
      component,
      endpoint: name,
      instanceId,
      http: httpPath === '' ? null : httpAddress + httpPath,
      grpc: grpcPath === '' ? null : grpcAddress + grpcPath,
      idempotent: false,
    };
    return { key: instanceKey(instance), value: instanceRecord(instance) };
  });
  const card = {
    key: `v1/mdc/${namespace}/${component}/${endpoint}/${instanceId}`,
    value: cardText(register),
  };
  return [...instances, card];
}

function cardText({ card, cardChecksum, runtime, workerType }: Register): string {
  const types = (card?.modelTypes ?? []).map((type) => ModelType[type].toLowerCase());
  return JSON.stringify({
    display_name: card?.name,
    slug: slugOf(card?.name ?? ''),
    aliases: card?.aliases,
    context_length: card?.contextLengthTokens,
    kv_cache_block_size: card?.kvCacheBlockSize,
    migration_limit: card?.migrationLimit,
    model_type: types.join('|'),
    model_input: card?.modelInput === ModelInput.TEXT ? 'text' : 'tokens',
    worker_type: WorkerType[workerType].toLowerCase(),
    mdcsum: cardChecksum,
    runtime_config: {
      total_kv_blocks: runtime?.totalKvBlocks,
      max_num_seqs: runtime?.maxNumSeqs,
      max_num_batched_tokens: runtime?.maxNumBatchedTokens,
      data_parallel_size: runtime?.dataParallelSize,
    },
  });
}

const slugOf = (name: string) => name.toLowerCase().replace(/[^a-z0-9_-]/g, '_');
