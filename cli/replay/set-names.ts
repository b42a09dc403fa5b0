/**
 * What `--set name=value` may name: the router's settings (durable/runtime/config.ts) and those of the simulated engine,
 * by Dynamo's names. Dashes, underscores and capitals are all the same to it.
 */

import * as z from 'zod';
import {
  fileKey,
  resolveSettings,
  SETTINGS,
  type SettingName,
  type Settings,
} from '../../durable/runtime/config.ts';
import { StatorError } from '../../durable/runtime/errors.ts';

const count = z.coerce.number().int().min(1);
const amount = z.coerce.number().min(0);
const flag = z.union([z.boolean(), z.stringbool()]);

const ENGINE = z.object({
  max_num_seqs: count.default(256).describe('Requests that run at once on one worker.'),
  max_num_batched_tokens: count.default(8192).describe('Tokens computed in one pass.'),
  enable_prefix_caching: flag.default(true).describe('Off: no block is found again.'),
  max_model_len: count.optional().describe('Most tokens of prompt and answer; else what the blocks hold.'),
  speedup_ratio: amount.default(1).describe('Divides the time of a pass; 0 = none.'),
  decode_speedup_ratio: amount.min(1e-6).default(1).describe('Divides the time of decode steps further.'),
  watermark: amount.max(0.5).default(0).describe('Share of the blocks that an admission leaves free.'),
  kv_transfer_bandwidth: amount
    .min(1e-6)
    .optional()
    .describe('GB/s from prefill to decode worker; without it the hand-off takes no time.'),
  kv_transfer_bytes_per_token: count.optional().describe('Bytes handed over per prompt token.'),
});

export type EngineSettings = z.output<typeof ENGINE>;

/** Older or shorter names. */
const ALIASES: Readonly<Record<string, string>> = {
  kv_bytes_per_token: 'kv_transfer_bytes_per_token',
  kv_overlap_score_weight: 'overlap_score_weight',
};

/** Settings of the platform that mean nothing in virtual time. */
const NOT_HERE: ReadonlySet<string> = new Set<SettingName>([
  'host',
  'port',
  'workers',
  'prefillWorkers',
  'decodeWorkers',
  'workerType',
  'disaggPolicy',
  'disaggIslTokens',
  'disaggIslRatio',
  'remotePrefillTimeoutMs',
  'prefillBusyThreshold',
  'decodeBusyThreshold',
  'maxLocalPrefillLength',
  'maxPrefillQueueSize',
  'engine',
  'model',
  'modelName',
  'tokenizer',
  'context',
  'blockSize',
  'engineSpeedup',
  'mockDecodeMs',
  'mockTiming',
  'mockDictation',
  'namespace',
  'apiKey',
  'fleetToken',
  'bodyLimitBytes',
  'leaseMs',
  'metricsPrefix',
  'logLevel',
  'migrationLimit',
  'overloadStatusCode',
  'snapshotEvents',
  'resetStates',
]);

const ROUTER_NAMES = (Object.keys(SETTINGS) as SettingName[]).filter((name) => !NOT_HERE.has(name));

export type SetValue = string | number | boolean;

/** Sorts names and values into the router's and the engine's. Throws `invalid_request`. */
export function applySet(set: Readonly<Record<string, SetValue>>): {
  router: Settings;
  engine: EngineSettings;
} {
  const router: Record<string, unknown> = {};
  const engine: Record<string, unknown> = {};
  for (const [given, value] of Object.entries(set)) {
    const key = canonical(given);
    const name = ROUTER_NAMES.find((candidate) => fileKey(candidate) === key);
    if (key in ENGINE.shape) engine[key] = value;
    else if (name !== undefined) router[name] = routerValue(name, value);
    else
      throw new StatorError('invalid_request', `--set ${given}: no such setting; see --help`, {
        param: given,
      });
  }
  const parsed = ENGINE.safeParse(engine);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw new StatorError('invalid_request', `--set ${String(path[0])}: ${message}`, {
      param: String(path[0]),
    });
  }
  const label = (name: SettingName) => `--set ${fileKey(name)}`;
  return { router: resolveSettings([{ values: router, label }]), engine: parsed.data };
}

/** Every name with its default and what it does, for `--help`. */
export function setNames(): { name: string; fallback: string; help: string }[] {
  const router = ROUTER_NAMES.map((name) => ({
    name: fileKey(name),
    fallback: String(SETTINGS[name].default),
    help: SETTINGS[name].help,
  }));
  const defaults = ENGINE.parse({}) as Record<string, unknown>;
  const engine = Object.entries(ENGINE.shape).map(([name, schema]) => ({
    name,
    fallback: String(defaults[name] ?? ''),
    help: schema.description ?? '',
  }));
  return [...router, ...engine];
}

function canonical(name: string): string {
  const key = fileKey(name).replaceAll('-', '_').toLowerCase();
  return ALIASES[key] ?? key;
}

/** Dynamo writes modes with underscores, and `kv_router`. */
function routerValue(name: SettingName, value: SetValue): SetValue {
  if (name !== 'routerMode' || typeof value !== 'string') return value;
  return value === 'kv_router' ? 'kv' : value.replaceAll('_', '-');
}
