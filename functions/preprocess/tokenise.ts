/**
 * The prompt as token ids and block hashes. Where they come from depends on the model and the request: the wasm
 * tokenizer, one unary call to a sidecar (`model_input: text`), or the client itself.
 *
 * Ids and hashes leave wasm memory as bytes, with one copy each, and are never looped over.
 */

import type { Tokenizer } from '#wasm/tokens';
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import {
  TokenizeRequestSchema,
  TokenizeResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { callWorker } from '../dispatch/worker-call.ts';
import type { TokenPrompt } from '../prepared-request.ts';
import type { RenderedPrompt } from './chat-template.ts';
import { blockHasher, tokenizerOf } from './model-files.ts';

const SCHEMAS = { request: TokenizeRequestSchema, response: TokenizeResponseSchema };

export function tokeniseText(
  model: ModelEntry,
  rendered: RenderedPrompt,
  fleetToken: string,
): TokenPrompt | Promise<TokenPrompt> {
  if (model.modelInput === 'text') return tokeniseAtWorker(model, rendered, fleetToken);
  const tokenizer = tokenizerOf(model, fleetToken);
  if (tokenizer instanceof Promise) return tokenizer.then((made) => encode(made, model, rendered));
  return encode(tokenizer, model, rendered);
}

/** The client's own token ids. */
export function hashTokens(model: ModelEntry, ids: Uint32Array): TokenPrompt {
  const blockHashes = blockHasher().hash(ids, { blockSize: model.blockSizeTokens }).slice();
  return { tokenIds: new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength), blockHashes };
}

function encode(tokenizer: Tokenizer, model: ModelEntry, { text, guard }: RenderedPrompt): TokenPrompt {
  const { ids, hashes } = tokenizer.encode(text, { blockSize: model.blockSizeTokens, guard });
  const tokenIds = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength).slice();
  return { tokenIds, blockHashes: hashes.slice() };
}

async function tokeniseAtWorker(
  model: ModelEntry,
  { text, guard }: RenderedPrompt,
  fleetToken: string,
): Promise<TokenPrompt> {
  let failure: unknown = new StatorError('no_workers', `No worker serves the model '${model.name}'.`);
  for (const address of model.addresses) {
    try {
      const request = { text, parseSpecial: true, guard: guard ?? '' };
      const { tokenIds } = await callWorker({ address, fleetToken }, 'Tokenize', SCHEMAS, request);
      return hashTokens(model, new Uint32Array(tokenIds.slice().buffer));
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
