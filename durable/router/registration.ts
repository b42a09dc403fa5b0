/**
 * What a worker says of itself, checked: the Register frame as a trusted value. Everything that a stranger could get wrong
 * is refused here, by field name.
 */

import type { Register } from '../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import {
  type ModelCard,
  ModelInput,
  ModelType,
  WorkerType,
} from '../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import type { ModelEntry } from '../directory/rpc.ts';
import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { WorkerRole } from './rpc.ts';

/** The part of a directory entry that the card decides. */
export type CardEntry = Omit<ModelEntry, 'namespace' | 'deterministic' | 'addresses' | 'instances'>;

export interface Registration {
  /** 16 lower-case hex digits. */
  instanceId: string;
  epoch: number;
  component: string;
  endpoint: string;
  endpoints: { name: string; httpPath: string; grpcPath: string }[];
  /** Base URL of the HTTP/1.1 face. */
  address: string;
  /** `host:port` */
  grpcAddress: string;
  workerType: WorkerRole;
  cardChecksum: string;
  card: CardEntry;
  engine: string;
  deterministic: boolean;
  publishesKvEvents: boolean;
  dpRanks: number;
  totalKvBlocks: number;
  /** Tokens of one pass of the engine; what did not say counts as without bound (semantics §1.7). */
  maxNumBatchedTokens: number;
  /** Requests that run at once; 0: not said. */
  maxNumSeqs: number;
  taints: string[];
  loras: string[];
}

const UNSAID_BATCHED_TOKENS = 10_000_000;

/** Throws `invalid_frame` naming the field. */
export function parseRegistration(frame: Register): Registration {
  const { card, runtime } = frame;
  if (!card) throw invalid('card', 'is missing');
  if (!runtime) throw invalid('runtime', 'is missing');
  const dpRanks = runtime.dataParallelSize || 1;
  if (dpRanks > LIMITS.dpRanks) throw invalid('runtime.data_parallel_size', `is over ${LIMITS.dpRanks}`);
  return {
    instanceId: instanceId(frame.instanceId),
    epoch: safeNumber('epoch', frame.epoch),
    component: name('component', frame.component),
    endpoint: name('endpoint', frame.endpoint),
    endpoints: endpoints(frame),
    address: httpAddress(frame.httpAddress),
    grpcAddress: hostAndPort(frame.grpcAddress),
    workerType: workerType(frame.workerType),
    cardChecksum: name('card_checksum', frame.cardChecksum),
    card: cardEntry(card),
    engine: name('runtime.engine', runtime.engine),
    deterministic: runtime.deterministic,
    publishesKvEvents: runtime.kvEventPublishingEnabled,
    dpRanks,
    totalKvBlocks: runtime.totalKvBlocks,
    maxNumBatchedTokens: runtime.maxNumBatchedTokens || UNSAID_BATCHED_TOKENS,
    maxNumSeqs: runtime.maxNumSeqs,
    taints: words('runtime.taints', runtime.taints),
    loras: words('runtime.loras', runtime.loras),
  };
}

function cardEntry(card: ModelCard): CardEntry {
  if (card.kvCacheBlockSize === 0) throw invalid('card.kv_cache_block_size', 'is 0');
  if (card.contextLengthTokens === 0) throw invalid('card.context_length_tokens', 'is 0');
  if (card.aliases.length > LIMITS.modelAliases) {
    throw invalid('card.aliases', `has more than ${LIMITS.modelAliases} names`);
  }
  const modelInput = card.modelInput === ModelInput.TEXT || !card.tokenizer ? 'text' : 'tokens';
  return {
    name: name('card.name', card.name),
    aliases: card.aliases.map((alias) => name('card.aliases', alias)),
    description: card.description,
    createdMs: safeNumber('card.created_ms', card.createdMs),
    contextLengthTokens: card.contextLengthTokens,
    blockSizeTokens: card.kvCacheBlockSize,
    migrationLimit: card.migrationLimit,
    modelInput,
    modelTypes: card.modelTypes.map(modelType),
    ...(card.embeddingDimensions > 0 ? { embeddingDimensions: card.embeddingDimensions } : {}),
    tokenizerSha256: sha256('card.tokenizer', card.tokenizer?.sha256),
    chatTemplateSha256: sha256('card.chat_template', card.chatTemplate?.sha256),
    bosToken: card.bosToken,
    eosToken: card.eosToken,
    eosTokenIds: card.eosTokenIds,
    addBosToken: card.addBosToken,
    specialTokens: card.specialTokens,
  };
}

function instanceId(text: string): string {
  if (!/^[0-9a-f]{1,16}$/.test(text)) throw invalid('instance_id', 'is not 64-bit lower-case hex');
  return text;
}

function name(field: string, text: string): string {
  if (text === '') throw invalid(field, 'is empty');
  if (text.length > LIMITS.modelNameLength) {
    throw invalid(field, `is longer than ${LIMITS.modelNameLength} characters`);
  }
  return text;
}

function words(field: string, texts: readonly string[]): string[] {
  if (texts.length > LIMITS.workerWords) throw invalid(field, `has more than ${LIMITS.workerWords} entries`);
  return texts.map((text) => name(field, text));
}

function httpAddress(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw invalid('http_address', 'is not an http URL');
  }
  return text.replace(/\/+$/, '');
}

function hostAndPort(text: string): string {
  if (text !== '' && !/^[^/\s]{1,255}:\d{1,5}$/.test(text)) {
    throw invalid('grpc_address', 'is not host:port');
  }
  return text;
}

function safeNumber(field: string, value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(field, 'is too large');
  return Number(value);
}

function sha256(field: string, text: string | undefined): string | null {
  if (text === undefined) return null;
  if (!/^[0-9a-f]{64}$/.test(text)) throw invalid(`${field}.sha256`, 'is not a lower-case hex SHA-256');
  return text;
}

function workerType(type: WorkerType): Registration['workerType'] {
  switch (type) {
    case WorkerType.UNSPECIFIED:
    case WorkerType.AGGREGATED:
      return 'aggregated';
    case WorkerType.PREFILL:
      return 'prefill';
    case WorkerType.DECODE:
      return 'decode';
    case WorkerType.ENCODE:
      return 'encode';
    default:
      throw invalid('worker_type', `${String(type)} is unknown`);
  }
}

function modelType(type: ModelType): ModelEntry['modelTypes'][number] {
  switch (type) {
    case ModelType.CHAT:
      return 'chat';
    case ModelType.COMPLETIONS:
      return 'completions';
    case ModelType.EMBEDDING:
      return 'embedding';
    default:
      throw invalid('card.model_types', `${String(type)} is unknown`);
  }
}

const GENERATE = '/stator.v1.Worker/Generate';
const WORD = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$/;
const ENDPOINT_PATH = /^$|^\/[A-Za-z0-9_./-]{1,255}$/;

/** Discovery has them as keys, so they are words. */
function endpoints({ component, endpoint, endpoints }: Register): Registration['endpoints'] {
  if (!WORD.test(component)) throw invalid('component', 'is not a word of letters, digits, - and _');
  if (!WORD.test(endpoint)) throw invalid('endpoint', 'is not a word of letters, digits, - and _');
  if (endpoints.length === 0) return [{ name: endpoint, httpPath: GENERATE, grpcPath: GENERATE }];
  if (endpoints.length > LIMITS.workerEndpoints)
    throw invalid('endpoints', `has more than ${LIMITS.workerEndpoints} entries`);
  return endpoints.map(({ name, httpPath, grpcPath }) => {
    if (!WORD.test(name)) throw invalid('endpoints.name', 'is not a word of letters, digits, - and _');
    if (!ENDPOINT_PATH.test(httpPath)) throw invalid('endpoints.http_path', 'is not a path');
    if (!ENDPOINT_PATH.test(grpcPath)) throw invalid('endpoints.grpc_path', 'is not a path');
    return { name, httpPath, grpcPath };
  });
}

const invalid = (field: string, problem: string) =>
  new StatorError('invalid_frame', `Register: ${field} ${problem}`, { param: field });
