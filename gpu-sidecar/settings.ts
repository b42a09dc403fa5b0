/** What a sidecar reads from its environment: the house's settings, and where it is and to whom it belongs. */

import { envName, type Settings, settingsFromEnv } from '../durable/runtime/config.ts';
import { StatorError } from '../durable/runtime/errors.ts';
import type { EngineOptions } from './engines/engine.ts';
import { kvbmTierSetting } from './kvbm/settings.ts';
import { natsCredentials } from './nats/credentials.ts';
import { type FleetTls, fleetTls } from './tls/fleet-tls.ts';

export interface SidecarSettings {
  settings: Settings;
  engine: EngineOptions;
  /** Base URL of the platform; null: discovery says it. */
  platformUrl: string | null;
  /** What platform and workers show each other; null: nothing. */
  tls: FleetTls | null;
  /** Address that both listeners take and that the platform is told. */
  host: string;
  /** 0 = any free port. */
  httpPort: number;
  grpcPort: number;
  /** The process ends when its standard input does. */
  parentStdin: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws StatorError `invalid_request` naming the variable. */
export function sidecarSettings(env: Environment): SidecarSettings {
  const given = settingsFromEnv(env);
  const settings = { ...given, natsCreds: natsCredentials(given.natsCreds) };
  if (settings.fleetToken === '') throw invalid('STATOR_FLEET_TOKEN', 'a worker needs the fleet token');
  const tier = kvbmTierSetting(settings);
  if (tier !== null && settings.engine !== 'llama')
    throw invalid(envName(tier), `engine ${settings.engine} does not keep KV memory`);
  const said =
    env['STATOR_PLATFORM_URL'] || (settings.discovery === 'object' ? 'http://127.0.0.1:8787' : null);
  const host = env['STATOR_SIDECAR_HOST'] || '127.0.0.1';
  return {
    settings,
    engine: engineOptions(settings),
    platformUrl: said === null ? null : checkedPlatform(said),
    host,
    tls: fleetTls(settings, { hosts: [host], label: envName, nowMs: Date.now() }),
    httpPort: port(env, 'STATOR_SIDECAR_PORT'),
    grpcPort: port(env, 'STATOR_SIDECAR_GRPC_PORT'),
    parentStdin: env['STATOR_PARENT_STDIN'] === '1',
  };
}

function engineOptions(settings: Settings): EngineOptions {
  const mock = settings.engine === 'mock';
  return {
    modelPath: mock ? settings.tokenizer || settings.model : settings.model,
    modelName: settings.modelName || null,
    contextLengthTokens: settings.context || null,
    blockSizeTokens: settings.blockSize,
    speedup: settings.engineSpeedup,
    extra: mock
      ? {
          decodeMs: String(settings.mockDecodeMs),
          dictation: String(settings.mockDictation),
          timing: settings.mockTiming,
        }
      : { gpuLayers: String(settings.gpuLayers), cudaLibrary: settings.cudaLibrary },
  };
}

function checkedPlatform(platform: string): string {
  const name = 'STATOR_PLATFORM_URL';
  if (!URL.canParse(platform)) throw invalid(name, `${platform} is not a URL`);
  const { protocol } = new URL(platform);
  if (protocol !== 'http:' && protocol !== 'https:') throw invalid(name, 'must be http or https');
  return platform.replace(/\/+$/, '');
}

/** `ws(s)://host:port/fleet/v1/{namespace}` */
export const fleetUrl = (platformUrl: string, namespace: string): string =>
  `${platformUrl.replace(/^http/, 'ws')}/fleet/v1/${namespace}`;

function port(env: Environment, name: string): number {
  const text = env[name] || '0';
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw invalid(name, `${text} is not a port`);
  return value;
}

const invalid = (name: string, reason: string): StatorError =>
  new StatorError('invalid_request', `${name}: ${reason}`, { param: name });
