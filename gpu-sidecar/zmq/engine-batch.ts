/**
 * KV events as vLLM and SGLang publish them: a MessagePack array `[time, events, dp rank?]` whose events are maps with a
 * `type` (vLLM from 0.32 on, SGLang) or arrays that begin with it (older ones). Hashes are whole numbers of 64 bits, signed or
 * not, or 32 bytes, whose last 8 are the number. Throws StatorError `invalid_frame`.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import { isRecord, unpackEvent } from '../../durable/runtime/event-plane/envelope.ts';
import { packed } from '../../durable/runtime/event-plane/router-event.ts';

export type EngineEvent =
  | {
      kind: 'stored';
      /** Packed little-endian u64; the parent's is empty at the root. */
      blockHashes: Uint8Array;
      parentHash: Uint8Array;
      tokenIds: Uint32Array;
      blockSizeTokens: number;
      medium: string;
      loraName: string;
      cacheSalt: string;
    }
  | { kind: 'removed'; blockHashes: Uint8Array; medium: string }
  | { kind: 'cleared' };

export interface EngineBatch {
  events: EngineEvent[];
  /** null: the publisher did not say. */
  dpRank: number | null;
  /** Events left out: of blocks that are not of full attention, or not here. */
  passedOver: number;
}

/** Names of an array's places behind the type. */
const PLACES = {
  BlockStored: [
    'block_hashes',
    'parent_block_hash',
    'token_ids',
    'block_size',
    'lora_id',
    'medium',
    'lora_name',
    'extra_keys',
  ],
  BlockRemoved: ['block_hashes', 'medium'],
  AllBlocksCleared: [],
} as const satisfies Record<string, readonly string[]>;

/** Kinds of KV cache whose blocks any request with that prefix can use. */
const FULL = new Set(['full_attention', 'mla_attention', 'sink_full_attention']);

export function decodeEngineBatch(payload: Uint8Array): EngineBatch {
  const batch = unpackEvent(payload);
  if (!Array.isArray(batch) || !Array.isArray(batch[1])) throw invalid('is no batch of KV events');
  const events = (batch[1] as unknown[]).flatMap((event) => decodeEvent(fieldsOf(event)) ?? []);
  return {
    events,
    dpRank: Number.isInteger(batch[2]) ? (batch[2] as number) : null,
    passedOver: batch[1].length - events.length,
  };
}

function fieldsOf(event: unknown): Record<string, unknown> {
  if (isRecord(event)) return event;
  if (!Array.isArray(event)) throw invalid('has an event that is neither map nor array');
  const [type, ...values] = event as unknown[];
  if (typeof type !== 'string' || !Object.hasOwn(PLACES, type)) throw unknown(type);
  const names = PLACES[type as keyof typeof PLACES];
  return Object.fromEntries([['type', type], ...names.map((name, at) => [name, values[at]])]);
}

/** null: not of those that a router counts. */
function decodeEvent(fields: Record<string, unknown>): EngineEvent | null {
  const { type } = fields;
  if (type === 'AllBlocksCleared') return { kind: 'cleared' };
  if (type !== 'BlockStored' && type !== 'BlockRemoved') throw unknown(type);
  const kindOfCache = fields['kv_cache_spec_kind'];
  if (fields['locality'] === 'REMOTE' || (typeof kindOfCache === 'string' && !FULL.has(kindOfCache)))
    return null;
  const blockHashes = hashes(fields['block_hashes']);
  const medium = text(fields['medium']);
  if (type === 'BlockRemoved') return { kind: 'removed', blockHashes, medium };
  const parent = fields['parent_block_hash'];
  return {
    kind: 'stored',
    blockHashes,
    parentHash: parent === null || parent === undefined ? hashes([]) : hashes([parent]),
    tokenIds: tokens(fields['token_ids']),
    blockSizeTokens: Number(fields['block_size']),
    medium,
    loraName: text(fields['lora_name']),
    cacheSalt: text(fields['cache_salt']),
  };
}

function hashes(values: unknown): Uint8Array {
  if (!Array.isArray(values)) throw invalid('lacks block hashes');
  return packed(values.map((value) => (value instanceof Uint8Array ? lastNumber(value) : value)));
}

function lastNumber(bytes: Uint8Array): bigint {
  if (bytes.length < 8) throw invalid(`has a hash of ${bytes.length} bytes`);
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 8).getBigUint64(0);
}

function tokens(values: unknown): Uint32Array {
  if (!Array.isArray(values) || !values.every((id) => Number.isInteger(id) && id >= 0 && id < 2 ** 32)) {
    throw invalid('lacks token ids');
  }
  return Uint32Array.from(values as number[]);
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

const invalid = (what: string) => new StatorError('invalid_frame', `what the engine published ${what}`);
const unknown = (type: unknown) => invalid(`has an event of the unknown kind ${String(type)}`);
