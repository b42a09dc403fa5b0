/**
 * Documents that settings name by file: read here, before anything starts, because the platform process sees no files.
 */

import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { parse as parseYaml } from 'yaml';
import type { SettingName } from '../durable/runtime/config.ts';
import { StatorError, toStatorError } from '../durable/runtime/errors.ts';

const PARSERS: Readonly<Record<string, (text: string) => unknown>> = {
  '.yaml': (text) => parseYaml(text),
  '.yml': (text) => parseYaml(text),
  '.json': (text) => JSON.parse(text),
  '.toml': (text) => parseToml(text),
};

/** Whether a setting's value is a file that can be read here. */
export const isDocumentFile = (given: string): boolean =>
  !given.startsWith('{') && PARSERS[extname(given)] !== undefined;

/** The file as JSON, once `check` has found nothing wrong with it. Throws `invalid_request` naming the file and the field. */
export function inlineDocument(file: string, param: SettingName, check: (json: unknown) => void): string {
  try {
    const json = PARSERS[extname(file)]!(readFileSync(file, 'utf8'));
    check(json);
    return JSON.stringify(json);
  } catch (thrown) {
    const { message } = toStatorError(thrown);
    throw new StatorError('invalid_request', `${file}: ${message.split('\n')[0]}`, { param });
  }
}
