/** What a worker itself says it has cached: its own dump, over native gRPC, beside the router's index of it. */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { KvIndexAnswerSchema, KvIndexQuerySchema } from '../../gpu-sidecar/proto/gen/stator/v1/kv_pb.js';

/** Distinct blocks of the worker at `host:port`. */
export async function cachedBlocksOf(grpcAddress: string, fleetToken: string): Promise<number> {
  const client = new Client(grpcAddress, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${fleetToken}`);
  const frames = client.makeServerStreamRequest(
    '/stator.v1.KvIndex/Query',
    (request: Uint8Array) => Buffer.from(request),
    (bytes) => fromBinary(KvIndexAnswerSchema, bytes),
    toBinary(KvIndexQuerySchema, { $typeName: 'stator.v1.KvIndexQuery', dpRank: 0 }),
    metadata,
  );
  const blocks = new Set<bigint>();
  try {
    for await (const { answer } of frames) {
      if (answer.case !== 'treeDump') throw new Error(`a ${answer.case} in place of a dump`);
      for (const { blockHashes } of answer.value.stored) {
        const view = new DataView(blockHashes.buffer, blockHashes.byteOffset, blockHashes.byteLength);
        for (let at = 0; at < view.byteLength; at += 8) blocks.add(view.getBigUint64(at));
      }
    }
  } finally {
    client.close();
  }
  return blocks.size;
}
