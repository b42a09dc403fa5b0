/**
 * What `bench:policy` compares, as data. A cell is written `trace-workers-blocks-speedup`; `5+3` workers are prefill and
 * decode workers. Both of Mooncake's traces, 3 to 16 workers, caches of 1,024 blocks of 512 tokens (starved: a fifth of what
 * would be found again is) to 16,384 (ample), loads from light to where Dynamo's default begins to fall behind.
 */

import { join } from 'node:path';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import type { Cell } from '../../cli/replay/plan.ts';
import { readTrace, type Trace } from '../../cli/replay/trace.ts';

/** The two that the milestone names, and one of each kind. */
export const FEW_CELLS: readonly string[] = [
  'conversation-8-4096-1',
  'synthetic-8-8192-5',
  'conversation-3-4096-0.9',
  'conversation-8-4096-4',
  'conversation-16-8192-4.5',
  'synthetic-4-2048-1.5',
  'synthetic-16-1024-4',
  'synthetic-5+3-8192-3',
];

export const ALL_CELLS: readonly string[] = [
  ...FEW_CELLS,
  ...['3-4096-0.4', '3-2048-0.7', '3-8192-1.6', '4-2048-1', '8-1024-1', '8-4096-2.2', '8-16384-2.2'].map(
    (cell) => `conversation-${cell}`,
  ),
  ...['16-1024-2', '16-2048-4', '5+3-4096-1', '5+3-4096-2', '2+2-4096-0.7', '10+6-2048-4'].map(
    (cell) => `conversation-${cell}`,
  ),
  ...['3-2048-1', '3-8192-1.5', '3-4096-2.5', '8-1024-2', '8-8192-8', '8-4096-3', '8-16384-5'].map(
    (cell) => `synthetic-${cell}`,
  ),
  ...['16-4096-8', '16-8192-10', '2+1-4096-1', '10+6-4096-6'].map((cell) => `synthetic-${cell}`),
];

type Set = NonNullable<Cell['set']>;

const WITHOUT_BLOCKS = { router_track_active_blocks: false };

/** Dynamo's default, and what somebody would try by hand: the best of each metric is what Stator is held against. */
export const DYNAMO_SETTINGS: Readonly<Record<string, Set>> = {
  default: {},
  'no blocks': WITHOUT_BLOCKS,
  'no blocks, credit 2': { ...WITHOUT_BLOCKS, overlap_score_credit: 2 },
  'no blocks, credit 4': { ...WITHOUT_BLOCKS, overlap_score_credit: 4 },
  'no blocks, requests 1': { ...WITHOUT_BLOCKS, decode_active_request_weight: 1 },
  'requests 1': { decode_active_request_weight: 1 },
  'requests 16': { decode_active_request_weight: 16 },
  'credit 2': { overlap_score_credit: 2 },
  'decay 1': { overlap_score_credit_decay: 1 },
  'prefill 4': { prefill_load_scale: 4 },
  'prefill 0.25': { prefill_load_scale: 0.25 },
  'queue wspt': { router_queue_threshold: 0, router_queue_policy: 'wspt' },
  'queue wspt, no blocks': { ...WITHOUT_BLOCKS, router_queue_threshold: 0, router_queue_policy: 'wspt' },
};

const CELL = /^(conversation|synthetic)-(\d+)(?:\+(\d+))?-(\d+)-([\d.]+)$/;

/** Throws for a name that is none. */
export function cellOf(name: string): Omit<Cell, 'seed' | 'set'> {
  const [, trace, workers, decodeWorkers, blocks, speedup] = CELL.exec(name) ?? [];
  if (trace === undefined)
    throw new Error(`${name} is no cell: write conversation-8-4096-1 or synthetic-5+3-8192-3`);
  const pools =
    decodeWorkers === undefined
      ? { workers: Number(workers) }
      : { prefillWorkers: Number(workers), decodeWorkers: Number(decodeWorkers) };
  return { trace: traceOf(trace), ...pools, blocks: Number(blocks), speedup: Number(speedup) };
}

const traces = new Map<string, Trace>();

function traceOf(name: string): Trace {
  const known = traces.get(name);
  if (known) return known;
  const trace = readTrace(join(PROJECT_ROOT, 'test', 'fixtures', 'traces', `${name}_trace.jsonl`));
  traces.set(name, trace);
  return trace;
}
