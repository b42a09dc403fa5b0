/** Typed look-ups in GGUF metadata, and what Stator wants to know of a model file. */

import { StatorError } from '../../../durable/runtime/errors.ts';
import type { GgufHeader } from './reader.ts';
import type { GgufValue } from './values.ts';

/** The part of the metadata that names and describes a model. Fields are null where the file says nothing. */
export interface GgufModelFacts {
  architecture: string;
  name: string | null;
  description: string | null;
  contextLengthTokens: number | null;
  chatTemplate: string | null;
  tokenizer: GgufTokenizer;
  /** How a text's vector is made of its tokens', as llama.cpp numbers it. */
  pooling: number | null;
  /** What a token leaves in the KV cache; null: the file does not say it, or its layers differ. */
  attention: GgufAttention | null;
  /** Each token sees only those before it; otherwise the model embeds and cannot generate. */
  causal: boolean;
}

export interface GgufAttention {
  layers: number;
  kvHeads: number;
  keyHeadSize: number;
  valueHeadSize: number;
}

/** Values of `tokenType`, as llama.cpp numbers them. */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface GgufTokenizer {
  /** gpt2 (byte-level BPE), llama (SentencePiece), bert, t5, rwkv, ... */
  model: string;
  /** Name of the pre-tokenizer's regular expressions. */
  pre: string;
  tokens: readonly string[];
  /** One of TOKEN_TYPE for each token. */
  tokenTypes: readonly number[];
  merges: readonly string[];
  bosId: number | null;
  eosId: number | null;
  eotId: number | null;
  addBos: boolean | null;
}

/** Throws StatorError `invalid_request` naming the file and the missing or ill-typed key. */
export function modelFacts(header: GgufHeader): GgufModelFacts {
  const { metadata } = header;
  const architecture = text(header, 'general.architecture');
  if (architecture === null) throw wrong(header, 'general.architecture', 'is missing');
  return {
    architecture,
    name: text(header, 'general.name'),
    description: text(header, 'general.description'),
    contextLengthTokens: count(metadata.get(`${architecture}.context_length`)),
    chatTemplate: text(header, 'tokenizer.chat_template'),
    tokenizer: tokenizerFacts(header),
    pooling: count(metadata.get(`${architecture}.pooling_type`)),
    attention: attentionFacts(header, architecture),
    causal: metadata.get(`${architecture}.attention.causal`) !== false,
  };
}

function attentionFacts({ metadata }: GgufHeader, architecture: string): GgufAttention | null {
  const of = (key: string) => count(metadata.get(`${architecture}.${key}`));
  const layers = of('block_count');
  const heads = of('attention.head_count');
  const kvHeads = metadata.has(`${architecture}.attention.head_count_kv`)
    ? of('attention.head_count_kv')
    : heads;
  const width = of('embedding_length');
  const headSize = width !== null && heads ? Math.floor(width / heads) : null;
  const keyHeadSize = of('attention.key_length') ?? headSize;
  const valueHeadSize = of('attention.value_length') ?? headSize;
  if (layers === null || kvHeads === null || keyHeadSize === null || valueHeadSize === null) return null;
  return { layers, kvHeads, keyHeadSize, valueHeadSize };
}

function tokenizerFacts(header: GgufHeader): GgufTokenizer {
  const { metadata } = header;
  const model = text(header, 'tokenizer.ggml.model');
  const tokens = list(header, 'tokenizer.ggml.tokens', 'string');
  if (model === null || tokens.length === 0) throw wrong(header, 'tokenizer.ggml.tokens', 'is missing');
  const types = list(header, 'tokenizer.ggml.token_type', 'number');
  const id = (key: string): number | null => {
    const value = count(metadata.get(`tokenizer.ggml.${key}_token_id`));
    return value !== null && value < tokens.length ? value : null;
  };
  const addBos = metadata.get('tokenizer.ggml.add_bos_token');
  return {
    model,
    pre: text(header, 'tokenizer.ggml.pre') ?? 'default',
    tokens,
    tokenTypes: types.length === tokens.length ? types : tokens.map(() => TOKEN_TYPE.normal),
    merges: list(header, 'tokenizer.ggml.merges', 'string'),
    bosId: id('bos'),
    eosId: id('eos'),
    eotId: id('eot'),
    addBos: typeof addBos === 'boolean' ? addBos : null,
  };
}

function text(header: GgufHeader, key: string): string | null {
  const value = header.metadata.get(key);
  if (value !== undefined && typeof value !== 'string') throw wrong(header, key, 'is no string');
  return value ?? null;
}

function count(value: GgufValue | undefined): number | null {
  const number = typeof value === 'bigint' ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

function list(header: GgufHeader, key: string, of: 'string'): string[];
function list(header: GgufHeader, key: string, of: 'number'): number[];
function list(header: GgufHeader, key: string, of: 'string' | 'number'): GgufValue[] {
  const value = header.metadata.get(key) ?? [];
  const fits = (item: GgufValue) => (of === 'string' ? typeof item === 'string' : typeof item === 'number');
  if (!Array.isArray(value) || !value.every(fits)) throw wrong(header, key, `is no list of ${of}s`);
  return value;
}

function wrong(header: GgufHeader, key: string, what: string): StatorError {
  return new StatorError('invalid_request', `${header.path}: metadata ${key} ${what}`, { param: 'model' });
}
