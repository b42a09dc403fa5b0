/**
 * KV events as NVIDIA Dynamo writes them (RouterEvent, semantics §3.1; one, or since 1.6 a list of them in each envelope) and as
 * our router applies them: MessagePack maps of 64-bit numbers on one side, packed little-endian hashes on the other. Fields that others leave out have their defaults,
 * unknown ones are ignored, hashes may be signed. Throws StatorError `invalid_frame`.
 */

import { StatorError } from '../errors.ts';
import { isRecord, packEvent, unpackEvent, wholeNumber } from './envelope.ts';

/** StorageTier of fleet.proto, by index. */
const TIERS = ['device', 'host_pinned', 'disk', 'external'] as const;
type TierNumber = 0 | 1 | 2 | 3;

/** The same shape as the router's KvChange. */
export type EventChange =
  | {
      kind: 'stored';
      tier: TierNumber;
      /** 8 bytes, or none at the root. */
      parentHash: Uint8Array;
      blockHashes: Uint8Array;
      tokensHashes: Uint8Array;
    }
  | { kind: 'removed'; tier: TierNumber; blockHashes: Uint8Array }
  | { kind: 'cleared' };

export interface RouterEvent {
  /** The instance. */
  workerId: bigint;
  dpRank: number;
  eventId: number;
  change: EventChange;
}

export const encodeRouterEvents = (events: readonly RouterEvent[]): Uint8Array =>
  packEvent(
    events.map(({ workerId, dpRank, eventId, change }) => ({
      worker_id: workerId,
      storage_tier: TIERS[change.kind === 'cleared' ? 0 : change.tier],
      residency_domain: 'worker',
      event: { event_id: BigInt(eventId), data: dataOf(change), dp_rank: dpRank },
    })),
  );

function dataOf(change: EventChange): unknown {
  switch (change.kind) {
    case 'stored': {
      const { parentHash } = change;
      const tokens = hashes(change.tokensHashes);
      const blocks = hashes(change.blockHashes).map((block_hash, at) => ({
        block_hash,
        tokens_hash: tokens[at],
        mm_extra_info: null,
      }));
      const parent_hash = parentHash.length === 0 ? null : hashes(parentHash)[0];
      return { stored: { parent_hash, start_position: null, blocks } };
    }
    case 'removed':
      return { removed: { block_hashes: hashes(change.blockHashes) } };
    case 'cleared':
      return 'cleared';
  }
}

export function decodeRouterEvents(bytes: Uint8Array): RouterEvent[] {
  const message = unpackEvent(bytes);
  return Array.isArray(message) ? message.map(routerEvent) : [routerEvent(message)];
}

function routerEvent(message: unknown): RouterEvent {
  if (!isRecord(message) || !isRecord(message['event'])) throw invalid('is no RouterEvent');
  const { event, storage_tier, worker_id } = message;
  const { data, dp_rank, event_id } = event as Record<string, unknown>;
  return {
    workerId: wholeNumber('worker_id', worker_id),
    dpRank: Number(wholeNumber('dp_rank', dp_rank ?? 0)),
    eventId: safe(wholeNumber('event_id', event_id)),
    change: changeOf(data, tierOf(storage_tier)),
  };
}

function changeOf(data: unknown, tier: TierNumber): EventChange {
  if (data === 'cleared') return { kind: 'cleared' };
  if (!isRecord(data)) throw invalid('has no data');
  const { cleared, removed, stored } = data;
  if (isRecord(stored)) return storedChange(stored, tier);
  if (isRecord(removed)) return { kind: 'removed', tier, blockHashes: packed(list(removed['block_hashes'])) };
  if (cleared !== undefined) return { kind: 'cleared' };
  throw invalid(`has data of an unknown kind: ${Object.keys(data).join()}`);
}

function storedChange({ blocks, parent_hash }: Record<string, unknown>, tier: TierNumber): EventChange {
  const records = list(blocks).map((block) => {
    if (!isRecord(block)) throw invalid('stores a block that is no map');
    return block;
  });
  return {
    kind: 'stored',
    tier,
    parentHash: packed(parent_hash === null || parent_hash === undefined ? [] : [parent_hash]),
    blockHashes: packed(records.map((block) => block['block_hash'])),
    tokensHashes: packed(records.map((block) => block['tokens_hash'])),
  };
}

function tierOf(name: unknown): TierNumber {
  const tier = TIERS.indexOf((name ?? 'device') as (typeof TIERS)[number]);
  if (tier < 0) throw invalid(`has the storage tier ${String(name)}`);
  return tier as TierNumber;
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw invalid('lacks a list');
  return value;
}

/** Of packed hashes. */
function hashes(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 8 }, (_, at) => view.getBigUint64(8 * at, true));
}

/** 64 bits each; signed or unsigned is one pattern. */
export function packed(values: readonly unknown[]): Uint8Array {
  const bytes = new Uint8Array(8 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, at) => {
    if (typeof value === 'bigint') view.setBigUint64(8 * at, BigInt.asUintN(64, value), true);
    else if (typeof value === 'number' && Number.isSafeInteger(value))
      view.setBigUint64(8 * at, BigInt.asUintN(64, BigInt(value)), true);
    else throw invalid(`has a hash that is no whole number: ${String(value)}`);
  });
  return bytes;
}

function safe(id: bigint): number {
  if (id > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('has an event id over 2^53');
  return Number(id);
}

const invalid = (what: string) => new StatorError('invalid_frame', `a KV event of the event plane ${what}`);
