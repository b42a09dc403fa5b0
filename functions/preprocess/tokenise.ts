/**
 * The prompt as token ids and block hashes. Where they come from depends on the model and the request: the wasm
 * tokenizer, one unary call to a sidecar (`model_input: text`), or the client itself.
 *
 * Ids and hashes leave wasm memory as bytes, with one copy each, and are never looped over.
 */

import type { Tokenizer } from '#wasm/tokens';
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import {
  TokenizeRequestSchema,
  TokenizeResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { callAnyWorker } from '../dispatch/worker-call.ts';
import type { TokenPrompt } from '../prepared-request.ts';
import type { FileSource } from './artifacts.ts';
import type { RenderedPrompt } from './chat-template.ts';
import { blockHasher, tokenizerOf } from './model-files.ts';

const SCHEMAS = { request: TokenizeRequestSchema, response: TokenizeResponseSchema };

export interface TokeniseOptions {
  source: FileSource;
  /** Of the block hashes; undefined = the default. */
  seed: bigint | undefined;
}

export function tokeniseText(
  model: ModelEntry,
  rendered: RenderedPrompt,
  { source, seed }: TokeniseOptions,
): TokenPrompt | Promise<TokenPrompt> {
  if (model.modelInput === 'text') return tokeniseAtWorker(model, rendered, { source, seed });
  const tokenizer = tokenizerOf(model, source);
  if (tokenizer instanceof Promise) return tokenizer.then((made) => encode(made, model, rendered, seed));
  return encode(tokenizer, model, rendered, seed);
}

/** The client's own token ids. */
export function hashTokens(model: ModelEntry, ids: Uint32Array, seed: bigint | undefined): TokenPrompt {
  const blockHashes = blockHasher().hash(ids, { blockSize: model.blockSizeTokens, seed }).slice();
  const tokenIds = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  return { tokenIds, blockHashes, hashSeed: seed };
}

function encode(
  tokenizer: Tokenizer,
  model: ModelEntry,
  { text, guard }: RenderedPrompt,
  seed: bigint | undefined,
): TokenPrompt {
  const { ids, hashes } = tokenizer.encode(text, { blockSize: model.blockSizeTokens, guard, seed });
  const tokenIds = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength).slice();
  return { tokenIds, blockHashes: hashes.slice(), hashSeed: seed };
}

async function tokeniseAtWorker(
  model: ModelEntry,
  { text, guard }: RenderedPrompt,
  { source, seed }: TokeniseOptions,
): Promise<TokenPrompt> {
  const request = { text, parseSpecial: true, guard: guard ?? '' };
  const { tokenIds } = await callAnyWorker(model, source.settings.fleetToken, 'Tokenize', SCHEMAS, request);
  return hashTokens(model, new Uint32Array(tokenIds.slice().buffer), seed);
}
