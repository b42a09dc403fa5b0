/** What every language model looks like in the open inference protocol. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ModelMetadataResponseSchema } from '../../proto/gen/inference/grpc_service_pb.js';

export const MODEL_VERSION = '1';
export const OUTPUTS = ['text_output', 'finish_reason'] as const;
export type OutputName = (typeof OUTPUTS)[number];

export function modelMetadata(name: string): MessageInitShape<typeof ModelMetadataResponseSchema> {
  return {
    name,
    versions: [MODEL_VERSION],
    platform: 'stator',
    inputs: [
      { name: 'text_input', datatype: 'BYTES', shape: [1n] },
      { name: 'streaming', datatype: 'BOOL', shape: [1n] },
    ],
    outputs: OUTPUTS.map((output) => ({ name: output, datatype: 'BYTES', shape: [-1n] })),
  };
}
