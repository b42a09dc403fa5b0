/**
 * Settings of a command: flags over environment over stator.toml over default (durable/runtime/config.ts).
 * The flags of citty are made from the same table, so `--help` cannot miss one.
 */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ArgsDef } from 'citty';
import { parse } from 'smol-toml';
import { plannerBasis } from '../durable/planner/planner-settings.ts';
import {
  envSource,
  fileKey,
  flagName,
  resolveSettings,
  SETTINGS,
  type SettingName,
  type Settings,
  type SettingsSource,
} from '../durable/runtime/config.ts';
import { StatorError } from '../durable/runtime/errors.ts';
import { inlineGlobalRouter } from './global-router-file.ts';
import { inlinePlannerProfile } from './planner-profile-file.ts';
import { inlineQueuePolicy } from './queue-policy-file.ts';

const NAMES = Object.keys(SETTINGS) as SettingName[];

/** citty's arguments for every setting, plus `--config` and `--json`. */
export function settingArgs(): ArgsDef {
  const args: ArgsDef = {
    config: { type: 'string', description: 'Settings file (default: stator.toml where it exists).' },
    json: { type: 'boolean', description: 'One JSON object per line instead of text.', default: false },
  };
  for (const name of NAMES) {
    const { help, default: fallback } = SETTINGS[name];
    const shown = fallback === '' ? '' : ` [${fallback}]`;
    args[flagName(name)] = { type: 'string', description: help + shown };
  }
  return args;
}

function flagSource(args: Readonly<Record<string, unknown>>): SettingsSource {
  const values: Record<string, unknown> = {};
  for (const name of NAMES) {
    const value = args[flagName(name)];
    // An empty number would read as 0, an empty key as no key: nobody who writes a flag means that.
    if (value === '') {
      throw new StatorError('invalid_request', `--${flagName(name)} wants a value`, { param: name });
    }
    if (value !== undefined) values[name] = value;
  }
  return { values, label: (name) => `--${flagName(name)}` };
}

function fileSource(path: string | undefined): SettingsSource {
  const file = resolve(path ?? 'stator.toml');
  if (!existsSync(file)) {
    if (path !== undefined) throw new StatorError('invalid_request', `--config: there is no file ${file}`);
    return { values: {}, label: fileKey };
  }
  const values: Record<string, unknown> = {};
  let parsed: Record<string, unknown>;
  try {
    parsed = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new StatorError('invalid_request', `${file}: ${(error as Error).message.split('\n')[0]}`);
  }
  for (const [key, value] of Object.entries(parsed)) {
    const name = NAMES.find((candidate) => fileKey(candidate) === key);
    if (!name) throw new StatorError('invalid_request', `${file}: unknown setting "${key}"`, { param: key });
    values[name] = value;
  }
  return { values, label: (name) => `${file}: ${fileKey(name)}` };
}

/** Names the options that somebody misspelt and the words that belong to none. Throws `invalid_request`. */
export function refuseUnknown(args: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): void {
  for (const key of Object.keys(args)) {
    const dashed = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (key !== '_' && !known.has(dashed)) {
      throw new StatorError('invalid_request', `unknown option --${dashed}; see --help`, { param: key });
    }
  }
  // After the options: the value of a misspelt one looks like a stray word.
  const [stray] = (args['_'] as readonly string[] | undefined) ?? [];
  if (stray !== undefined) {
    throw new StatorError('invalid_request', `unexpected argument "${stray}"; see --help`);
  }
}

export interface CommandSettings {
  settings: Settings;
  /** The names that flag, environment or file gave. */
  given: ReadonlySet<SettingName>;
}

/** Throws StatorError `invalid_request` naming the flag, variable or file and line. */
export function readSettings(args: Readonly<Record<string, unknown>>): CommandSettings {
  refuseUnknown(args, new Set(Object.keys(settingArgs())));
  const sources = [
    flagSource(args),
    envSource(process.env),
    fileSource(args['config'] as string | undefined),
  ];
  const given = new Set(NAMES.filter((name) => sources.some(({ values }) => values[name] !== undefined)));
  const settings = inlineGlobalRouter(inlinePlannerProfile(inlineQueuePolicy(resolveSettings(sources))));
  // Said before anything starts: the platform would only say it to who asks its planner.
  plannerBasis(settings);
  return { settings, given };
}
