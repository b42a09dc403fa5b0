/**
 * The seam between the sidecar and whatever computes tokens. One interface, a registry (`registry.ts`), one folder per
 * engine, one contract suite for all (`test/contract/engine.contract.ts`).
 *
 * An engine batches continuously, reuses prefixes by KV block, reports what it stored and dropped, and can be told
 * to stop a request at any time. It knows token ids only; text is the response path's business.
 */

import type { PassSample } from '../../durable/runtime/pass-sample.ts';
import type { BlockLayout } from '../kvbm/layout.ts';
import type { KvBlockManager, TierStatus } from '../kvbm/manager.ts';
import type { DevicePort } from '../kvbm/offload/offloader.ts';
import type { ModelCard } from '../proto/gen/stator/v1/model_pb.js';
import type { Constraint, GrammarCompiler } from './constraint/constraint.ts';

/** Fixed facts of a started engine. */
export interface EngineInfo {
  engine: string;
  card: ModelCard;
  /** Files that the card names, by SHA-256 (lower-case hex). */
  artifacts: ReadonlyMap<string, Uint8Array>;
  blockSizeTokens: number;
  totalBlocks: number;
  maxNumSeqs: number;
  maxNumBatchedTokens: number;
  contextLengthTokens: number;
  /** Token ids depend on the request alone, never on the batch or the worker. */
  deterministic: boolean;
}

/** The token table of the model. */
export interface Vocabulary {
  readonly size: number;
  /** Raw bytes of a token as text; empty for control tokens. May be half a character. */
  tokenBytes(id: number): Uint8Array;
  isControl(id: number): boolean;
  /** How a control token is written, as `<|end|>`; empty for the others. */
  controlText(id: number): string;
  isEndOfGeneration(id: number): boolean;
}

export interface SamplingOptions {
  /** 0 = greedy. */
  temperature: number;
  topP: number;
  /** 0 = off. */
  topK: number;
  minP: number;
  /** The uniform number of token i is hash(seed, choice, i). */
  seed: bigint;
  /** Which of the answers to one prompt this is, from 0. */
  choice: number;
  /** Likely tokens to name beside each chosen one; null: no log probabilities. */
  topLogprobs: number | null;
  presencePenalty: number;
  frequencyPenalty: number;
  /** 1 = off. */
  repetitionPenalty: number;
  logitBias: ReadonlyMap<number, number>;
}

/** The likeliest token each time. */
export const GREEDY: SamplingOptions = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: 0n,
  choice: 0,
  topLogprobs: null,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map(),
};

/** How likely a token was before bias, penalties and temperature; natural logarithms, never below `LEAST_LOGPROB`. */
export interface TokenLogprobs {
  logprob: number;
  /** The likeliest tokens, falling; equal ones by id. */
  top: readonly (readonly [id: number, logprob: number])[];
}

/** In place of minus infinity, which JSON has not; OpenAI's number. */
export const LEAST_LOGPROB = -9999;

export interface EngineRequest {
  requestId: string;
  /** Prompt, followed by the tokens generated so far when a response is continued elsewhere. */
  tokenIds: Uint32Array;
  /** How many of `tokenIds` are the prompt. */
  promptTokens: number;
  /** Local hashes of the complete prompt blocks, packed LE u64, or empty: the engine hashes itself. */
  blockHashes: Uint8Array;
  /** Seed of the block hashes (LoRA, tenant); 0n = the default 1337. */
  hashSeed: bigint;
  sampling: SamplingOptions;
  /** Most tokens of the whole response, those in `tokenIds` beyond the prompt included. */
  maxTokens: number;
  minTokens: number;
  stopTokenIds: readonly number[];
  ignoreEos: boolean;
  priority: number;
  /** What the answer must obey; absent: nothing. */
  constraint?: Constraint;
}

export type FinishReason = 'stop' | 'length' | 'cancelled' | 'error';

/** What an engine says about one request; calls come in order: started, token*, end (exactly once). */
export interface EngineSink {
  /** Prefill is over: prompt tokens that were found in the cache. Called before the first token. */
  started(cachedTokens: number): void;
  /**
   * Token number `index` of the response (0-based, resumed tokens counted), with log probabilities when they were asked
   * for. An end-of-generation token is not reported.
   */
  token(id: number, index: number, logprobs?: TokenLogprobs): void;
  /** `error` is set for the reason `error` only. */
  end(reason: FinishReason, error?: Error): void;
}

/** Block traffic of the engine's cache, in order; ids and framing are the fleet client's business. Packed LE u64. */
export interface KvEventSink {
  stored(event: { parentHash: Uint8Array | null; blockHashes: Uint8Array; tokensHashes: Uint8Array }): void;
  removed(blockHashes: Uint8Array): void;
  cleared(): void;
}

export interface EngineLoad {
  running: number;
  waiting: number;
  kvUsedBlocks: number;
  /** Context tokens of the requests that decode; absent: the engine does not count them. */
  decodeKvTokens?: number;
  /** Below the engine's own cache; absent: none. */
  tiers?: readonly TierStatus[];
}

/** Makes vectors of texts. */
export interface Embedder {
  readonly dimensions: number;
  /** Most tokens of one text. */
  readonly maxTokens: number;
  /**
   * A row of `dimensions` numbers for each text, of length 1. Calls wait for each other. Rejects with StatorError,
   * `cancelled` when `gone` aborts: then the rest is not computed.
   */
  embed(inputs: readonly Uint32Array[], gone: AbortSignal): Promise<Float32Array>;
}

export interface Engine {
  readonly info: EngineInfo;
  readonly vocabulary: Vocabulary;
  /** Absent: the engine cannot hold an answer to a grammar. */
  readonly grammars?: GrammarCompiler;
  /** Blocks beyond the engine's own cache; only where the engine was started with it. */
  readonly kvMemory?: KvBlockManager;
  /** Only engines whose card says that the model embeds have it. */
  readonly embedder?: Embedder;
  /** Its passes, for the one who tells the router; absent: it makes none. */
  readonly passes?: PassSample;
  /** Token ids of a text; only engines whose card says `model_input: text` must have it. */
  tokenize?(text: string, options: { parseSpecial: boolean; guard: string }): Uint32Array;
  /** Queues the request. Throws StatorError (`overloaded`, `context_length_exceeded`, …) when it cannot be taken. */
  submit(request: EngineRequest, sink: EngineSink): { abort(): void };
  onKvEvents(sink: KvEventSink): void;
  load(): EngineLoad;
  /** Drops cached blocks that no running request holds, in all tiers of this worker; returns how many. */
  clearKvBlocks(): number;
  /** Ends the running requests as `cancelled` and frees everything. */
  stop(): Promise<void>;
}

/** Options that every engine understands; each engine's own come as `extra` from the configuration. */
export interface EngineOptions {
  /** GGUF file for `llama`; tokenizer.json for `mock`. */
  modelPath: string;
  modelName: string | null;
  contextLengthTokens: number | null;
  blockSizeTokens: number;
  /** Divides the simulated time of `mock`. */
  speedup: number;
  extra: Readonly<Record<string, string>>;
  /** Makes memory for the engine's blocks; absent: none. Engines that cannot use it refuse to start. */
  kvMemory?: KvMemoryOpener;
}

export type KvMemoryOpener = (layout: BlockLayout, device: DevicePort) => Promise<KvBlockManager>;

/** One engine kind: a name, what its options mean, and how to start it. */
export interface EngineKind {
  readonly name: string;
  readonly summary: string;
  start(options: EngineOptions): Promise<Engine>;
}
