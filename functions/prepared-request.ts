/** A request that is ready to be sent: its prompt as tokens and block hashes, its answer bounded by the context. */
import type { ModelEntry } from '../durable/directory/rpc.ts';
import type { PoolRun } from './global-router/pool-run.ts';
import type { InferenceRequest } from './inference-request.ts';

export interface TokenPrompt {
  /** Packed LE u32. */
  tokenIds: Uint8Array;
  /** Local hashes of the complete blocks, packed LE u64. */
  blockHashes: Uint8Array;
  /** The hashes' seed (semantics §2.1); undefined = the default. */
  hashSeed: bigint | undefined;
}

export interface PreparedRequest {
  request: InferenceRequest;
  model: ModelEntry;
  prompt: TokenPrompt;
  promptTokens: number;
  maxTokens: number;
  /** Its way through the pools of a global router; absent: there is none for its model. */
  pools?: PoolRun;
  /** Namespaces whose prefill workers are asked for the prompt, in this order; absent: the pool's own are. */
  prefillPools?: readonly string[];
}
