/**
 * The setting `router_queue_policy` may name a file of policy classes. It is read and checked here, before anything starts,
 * and goes on as JSON, because the platform process sees no files.
 */

import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { parse as parseYaml } from 'yaml';
import { checkedPolicy, configuredPolicy } from '../durable/router/queue/configured-policy.ts';
import type { Settings } from '../durable/runtime/config.ts';
import { StatorError, toStatorError } from '../durable/runtime/errors.ts';

const PARSERS: Readonly<Record<string, (text: string) => unknown>> = {
  '.yaml': (text) => parseYaml(text),
  '.yml': (text) => parseYaml(text),
  '.json': (text) => JSON.parse(text),
  '.toml': (text) => parseToml(text),
};

/** The setting as the platform wants it. Throws `invalid_request` naming the file and the field. */
export function inlineQueuePolicy(settings: Settings): Settings {
  const { routerQueuePolicy: given } = settings;
  const parser = PARSERS[extname(given)];
  if (given.startsWith('{') || parser === undefined) {
    configuredPolicy(settings);
    return settings;
  }
  try {
    const json = parser(readFileSync(given, 'utf8'));
    checkedPolicy(json);
    return { ...settings, routerQueuePolicy: JSON.stringify(json) };
  } catch (thrown) {
    const { message } = toStatorError(thrown);
    throw new StatorError('invalid_request', `${given}: ${message.split('\n')[0]}`, {
      param: 'routerQueuePolicy',
    });
  }
}
