/**
 * Every setting, once: the schema that makes the flags, the environment, the file, `--help` and the docs page.
 *
 * A setting `routerMode` is `--router-mode`, `STATOR_ROUTER_MODE` and `router_mode` in stator.toml.
 * Flags win over the environment, the environment over the file, the file over the default.
 * The launcher resolves all sources and hands the result to workerd and the sidecars as STATOR_* variables,
 * so `settingsFromEnv` is all that the processes need. Pure: imported by every folder.
 */

import * as z from 'zod';
import { StatorError } from './errors.ts';
import { LIMITS } from './limits.ts';

const port = z.coerce.number().int().min(0).max(65_535);
const count = z.coerce.number().int().min(1);
const weight = z.coerce.number().min(0);
const text = z.string();
const flag = z.union([z.boolean(), z.stringbool()]);

/** `secret` settings are never printed. `default` is absent where none makes sense. */
interface Setting<S extends z.ZodType> {
  schema: S;
  default: z.output<S>;
  help: string;
  secret?: true;
}

const setting = <S extends z.ZodType>(
  schema: S,
  fallback: z.output<S>,
  help: string,
  secret?: true,
): Setting<S> => ({ schema, default: fallback, help, ...(secret ? { secret } : {}) });

export const SETTINGS = {
  host: setting(text, '127.0.0.1', 'Address to listen on; any other than loopback wants an API key.'),
  port: setting(port, 8787, 'HTTP port; when not given and taken, the next free one.'),
  workers: setting(count.max(64), 1, 'Workers (sidecars) to start on this machine.'),
  engine: setting(z.enum(['llama', 'mock']), 'llama', 'Engine of the workers started here.'),
  model: setting(text, '', 'GGUF file for llama; empty: the built-in demonstration model.'),
  modelName: setting(text, '', 'Name that clients use; empty: the name in the model file.'),
  tokenizer: setting(text, '', 'tokenizer.json for the mock engine; empty: that of the built-in model.'),
  context: setting(z.coerce.number().int().min(0), 0, 'Context length in tokens; 0: what the model has.'),
  blockSize: setting(count.max(1024), 16, 'Tokens per KV block.'),
  engineSpeedup: setting(weight, 1, 'Divides the simulated time of the mock engine; 0 = no delay.'),
  mockDecodeMs: setting(
    weight,
    0,
    'Fixed time per decode step of the mock engine; 0: the timing polynomial.',
  ),
  routerMode: setting(z.enum(['round-robin', 'random', 'direct', 'kv']), 'kv', 'How a worker is chosen.'),
  overlapScoreCredit: setting(weight, 1, 'Credit per cached prompt block in the cost.'),
  prefillLoadScale: setting(weight, 1, 'Weight of prefill load in the cost.'),
  decodeActiveRequestWeight: setting(weight, 0, 'Weight of the number of active requests in the cost.'),
  routerTrackOutputBlocks: setting(
    flag,
    false,
    'Count the KV blocks of generated tokens in the cost, not only those of prompts.',
  ),
  routerTemperature: setting(weight, 0, '0 = cheapest worker; above: softmax over the costs.'),
  migrationLimit: setting(
    z.coerce.number().int().min(0).max(16),
    LIMITS.migrations,
    'Most re-dispatches of a request after the loss of its worker.',
  ),
  namespace: setting(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/), 'default', 'Namespace of the workers.'),
  apiKey: setting(text, '', 'Clients must send it as a bearer token or x-api-key; empty: no check.', true),
  fleetToken: setting(text, '', 'Shared by platform and workers; made by the launcher when empty.', true),
  bodyLimitBytes: setting(count, LIMITS.bodyBytes, 'Largest request body.'),
  leaseMs: setting(count.max(300_000), LIMITS.leaseMs, 'A silent worker is dropped after this long.'),
  metricsPrefix: setting(z.string().regex(/^[a-z_]+$/), 'stator', 'Prefix of metric names.'),
  logLevel: setting(z.enum(['debug', 'info', 'warn', 'error']), 'info', 'Least severe log line.'),
} as const;

type Table = typeof SETTINGS;
export type SettingName = keyof Table;
export type Settings = { [K in SettingName]: z.output<Table[K]['schema']> };

const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).split(' ');
export const flagName = (name: string): string => words(name).join('-');
export const fileKey = (name: string): string => words(name).join('_');
export const envName = (name: string): string => `STATOR_${fileKey(name).toUpperCase()}`;

/** One source's raw values by setting name, with the words to blame in an error (`--port`, `STATOR_PORT`, …). */
export interface SettingsSource {
  values: Readonly<Record<string, unknown>>;
  label: (name: SettingName) => string;
}

/** Settings from several sources, strongest first. Throws `invalid_request` naming the source and the value. */
export function resolveSettings(sources: readonly SettingsSource[]): Settings {
  const result: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(SETTINGS) as [SettingName, Table[SettingName]][]) {
    const source = sources.find(({ values }) => values[name] !== undefined);
    if (!source) {
      result[name] = entry.default;
      continue;
    }
    const parsed = entry.schema.safeParse(source.values[name]);
    if (!parsed.success) {
      const reason = parsed.error.issues[0]?.message ?? 'not valid';
      throw new StatorError('invalid_request', `${source.label(name)}: ${reason}`, { param: name });
    }
    result[name] = parsed.data;
  }
  return result as Settings;
}

/** The environment as a source: STATOR_* only; empty strings count as absent. */
export function envSource(env: Readonly<Record<string, unknown>>): SettingsSource {
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(SETTINGS)) {
    const value = env[envName(name)];
    if (typeof value === 'string' && value !== '') values[name] = value;
  }
  return { values, label: envName };
}

export const settingsFromEnv = (env: Readonly<Record<string, unknown>>): Settings =>
  resolveSettings([envSource(env)]);

/** The inverse of `settingsFromEnv`: what the launcher gives to the processes it starts. */
export function settingsToEnv(settings: Settings): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) env[envName(name)] = String(settings[name]);
  return env;
}
