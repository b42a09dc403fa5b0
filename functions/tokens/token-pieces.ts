/**
 * The bytes of each of some tokens: from the tokenizer in wasm, or by one unary call to a sidecar (`model_input: text`). A
 * character may be divided among several tokens.
 */
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import {
  DetokenizeRequestSchema,
  DetokenizeResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { callAnyWorker } from '../dispatch/worker-call.ts';
import { invalid } from '../openai/parse.ts';
import type { FileSource } from '../preprocess/artifacts.ts';
import { tokenizerOf } from '../preprocess/model-files.ts';

const SCHEMAS = { request: DetokenizeRequestSchema, response: DetokenizeResponseSchema };

/** Throws `invalid_request` naming the token that is none. */
export async function tokenPieces(
  model: ModelEntry,
  ids: Uint32Array,
  source: FileSource,
): Promise<Uint8Array[]> {
  if (model.modelInput === 'text') {
    const tokenIds = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
    const { pieces } = await callAnyWorker(model, source.settings.fleetToken, 'Detokenize', SCHEMAS, {
      tokenIds,
    });
    return pieces;
  }
  const tokenizer = await tokenizerOf(model, source);
  return Array.from(ids, (id, at) => {
    const piece = tokenizer.tokenBytes(id);
    if (piece !== undefined) return piece;
    const param = `tokens[${at}]`;
    throw invalid(param, `the model has no token ${id}.`);
  });
}
