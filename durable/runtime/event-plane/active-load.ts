/**
 * A worker's load on the event plane: NVIDIA Dynamo's ActiveLoad (semantics §3.5) with two numbers of ours that others
 * ignore, and with those left out that a publisher does not know. Throws StatorError `invalid_frame`.
 */

import { StatorError } from '../errors.ts';
import { isRecord, packEvent, unpackEvent, wholeNumber } from './envelope.ts';

export interface ActiveLoad {
  /** The instance. */
  workerId: bigint;
  dpRank: number;
  kvUsedBlocks?: number;
  /** Requests; ours. */
  running?: number;
  waiting?: number;
}

export function encodeActiveLoad({
  workerId,
  dpRank,
  kvUsedBlocks,
  running,
  waiting,
}: ActiveLoad): Uint8Array {
  return packEvent({
    worker_id: workerId,
    dp_rank: dpRank,
    active_decode_blocks: null,
    active_prefill_tokens: null,
    kv_used_blocks: kvUsedBlocks ?? null,
    running: running ?? null,
    waiting: waiting ?? null,
  });
}

export function decodeActiveLoad(bytes: Uint8Array): ActiveLoad {
  const message = unpackEvent(bytes);
  if (!isRecord(message)) throw new StatorError('invalid_frame', 'a load of the event plane is no map');
  const load: ActiveLoad = {
    workerId: wholeNumber('worker_id', message['worker_id']),
    dpRank: Number(wholeNumber('dp_rank', message['dp_rank'] ?? 0)),
  };
  const known = { kvUsedBlocks: 'kv_used_blocks', running: 'running', waiting: 'waiting' } as const;
  for (const [name, field] of Object.entries(known) as [keyof typeof known, string][]) {
    const value = message[field];
    if (value !== null && value !== undefined) load[name] = Number(wholeNumber(field, value));
  }
  return load;
}
