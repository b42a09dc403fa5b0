/** What a replay is asked for, checked: a cell of a comparison becomes the plan of a simulation. */

import * as z from 'zod';
import type { Settings } from '../../durable/runtime/config.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { HostTierOptions } from '../../gpu-sidecar/engines/mock/host-tier.ts';
import type { PassCoreOptions } from '../../gpu-sidecar/engines/mock/pass-core.ts';
import { TimingTable } from '../../gpu-sidecar/engines/mock/timing-table.ts';
import { applySet, type EngineSettings, type SetValue } from './set-names.ts';
import type { Trace } from './trace.ts';

/** One replay as its caller asks for it; `stator replay`'s options by the same names. */
export interface Cell {
  trace: Trace;
  workers?: number;
  prefillWorkers?: number;
  decodeWorkers?: number;
  /** KV blocks of each worker. */
  blocks?: number;
  blockSize?: number;
  /** Router mode; `kv` by default. */
  router?: string;
  routerPolicy?: string;
  /** Divides the times of arrival. */
  speedup?: number;
  hostBlocks?: number;
  bytesPerToken?: number;
  hostGbps?: number;
  seed?: number;
  /** Times of the engine, in place of the polynomial. */
  timing?: TimingTable;
  set?: Readonly<Record<string, SetValue>>;
}

export interface PoolPlan {
  role: 'aggregated' | 'prefill' | 'decode';
  workers: number;
  settings: Settings;
}

export interface Plan {
  trace: Trace;
  /** One of role `aggregated`, or `prefill` and `decode`. */
  pools: readonly PoolPlan[];
  engine: Omit<PassCoreOptions, 'events' | 'role' | 'host'>;
  /** Of every worker that computes prompts. */
  host: HostTierOptions | null;
  /** Milliseconds that handing a prompt token from prefill to decode takes. */
  handoffMsPerToken: number;
  speedup: number;
  seed: number;
}

const workers = z.coerce.number().int().min(1).max(LIMITS.workers);

const CELL = z.strictObject({
  workers: workers.optional(),
  prefillWorkers: workers.optional(),
  decodeWorkers: workers.optional(),
  blocks: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 24)
    .default(16_384),
  blockSize: z.coerce.number().int().min(1).max(65_536).default(512),
  router: z.string().optional(),
  routerPolicy: z.string().optional(),
  speedup: z.coerce.number().positive().default(1),
  hostBlocks: z.coerce
    .number()
    .int()
    .min(0)
    .max(2 ** 28)
    .default(0),
  bytesPerToken: z.coerce.number().int().min(1).optional(),
  hostGbps: z.coerce.number().positive().optional(),
  seed: z.coerce.number().int().min(0).max(0xffff_ffff).default(1),
  timing: z.instanceof(TimingTable).optional(),
});

/** Throws `invalid_request`. */
export function planOf({ trace, set = {}, ...rest }: Cell): Plan {
  const parsed = CELL.safeParse(rest);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw invalid(path[0] === undefined ? message : `${flag(String(path[0]))}: ${message}`);
  }
  const cell = parsed.data;
  const { router, engine } = applySet({
    ...set,
    ...chosen(set, 'router_mode', cell.router),
    ...chosen(set, 'router_policy', cell.routerPolicy),
  });
  return {
    trace,
    pools: poolsOf(cell, router),
    engine: engineOf(cell, engine),
    host: hostOf(cell),
    handoffMsPerToken: handoffMs(engine),
    speedup: cell.speedup,
    seed: cell.seed,
  };
}

type Parsed = z.output<typeof CELL>;

/** An option that may also be given by `--set`, but not differently. */
function chosen(set: Cell['set'], name: string, value: string | undefined): Record<string, string> {
  if (value === undefined) return {};
  const other = set?.[name];
  if (other !== undefined && other !== value) {
    throw invalid(`--${name.replace('_', '-')} ${value} and --set ${name}=${other} contradict each other`);
  }
  return { [name]: value };
}

function poolsOf({ workers, prefillWorkers, decodeWorkers }: Parsed, settings: Settings): PoolPlan[] {
  if (prefillWorkers === undefined && decodeWorkers === undefined) {
    return [{ role: 'aggregated', workers: workers ?? 1, settings }];
  }
  if (workers !== undefined) {
    throw invalid(
      '--workers cannot go with --prefill-workers and --decode-workers: workers do all or a part',
    );
  }
  if (prefillWorkers === undefined || decodeWorkers === undefined) {
    throw invalid('--prefill-workers and --decode-workers go together');
  }
  return [
    { role: 'prefill', workers: prefillWorkers, settings: prefillSettings(settings) },
    { role: 'decode', workers: decodeWorkers, settings: decodeSettings(settings) },
  ];
}

/** A prompt's blocks leave with it: what is in flight says nothing of what a worker will hold. */
const prefillSettings = (settings: Settings): Settings => ({
  ...settings,
  routerTrackActiveBlocks: false,
  routerTrackOutputBlocks: false,
});

/** Prompts come with their blocks: only load counts (semantics §1.3, plain disaggregated decode). */
const decodeSettings = (settings: Settings): Settings => ({
  ...settings,
  overlapScoreCredit: 0,
  routerAssumeKvReuse: false,
  routerTrackPrefillTokens: false,
  routerPrefillLoadModel: 'none',
});

function engineOf({ blocks, blockSize, timing }: Parsed, engine: EngineSettings): Plan['engine'] {
  return {
    blockSizeTokens: blockSize,
    totalBlocks: blocks,
    maxNumSeqs: engine.max_num_seqs,
    maxNumBatchedTokens: engine.max_num_batched_tokens,
    contextLengthTokens: Math.min(engine.max_model_len ?? Number.POSITIVE_INFINITY, blocks * blockSize),
    vocabularySize: 2 ** 32,
    watermark: engine.watermark,
    prefixCaching: engine.enable_prefix_caching,
    speedup: engine.speedup_ratio,
    decodeSpeedup: engine.decode_speedup_ratio,
    decodeMs: 0,
    ...(timing === undefined ? {} : { table: timing }),
  };
}

/** Defaults of Dynamo's: 128 KiB a token, 32 GB/s each way. */
function hostOf({ hostBlocks, blockSize, bytesPerToken, hostGbps }: Parsed): HostTierOptions | null {
  if (hostBlocks > 0) {
    const bytes = blockSize * (bytesPerToken ?? 131_072);
    return { capacityBlocks: hostBlocks, blockMs: bytes / ((hostGbps ?? 32) * 1e6) };
  }
  if (bytesPerToken !== undefined)
    throw invalid('--bytes-per-token is of the host tier: it wants --host-blocks');
  if (hostGbps !== undefined) throw invalid('--host-gbps is of the host tier: it wants --host-blocks');
  return null;
}

function handoffMs(engine: EngineSettings): number {
  const { kv_transfer_bandwidth: gbps, kv_transfer_bytes_per_token: bytes } = engine;
  if (gbps === undefined && bytes === undefined) return 0;
  if (gbps === undefined || bytes === undefined) {
    throw invalid('--set kv_transfer_bandwidth and kv_transfer_bytes_per_token go together');
  }
  return bytes / (gbps * 1e6);
}

const flag = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

const invalid = (what: string) => new StatorError('invalid_request', what);
