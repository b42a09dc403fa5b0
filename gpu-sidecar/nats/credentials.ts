/** The text of a NATS credentials file: the setting names the file, or has the text already. Throws `invalid_request`. */

import { readFileSync } from 'node:fs';
import { StatorError } from '../../durable/runtime/errors.ts';

const BEGIN = '-----BEGIN';

export function natsCredentials(setting: string): string {
  if (setting === '' || setting.includes(BEGIN)) return setting;
  let text: string;
  try {
    text = readFileSync(setting, 'utf8');
  } catch (cause) {
    throw invalid(`${setting} cannot be read`, cause);
  }
  if (!text.includes(BEGIN)) throw invalid(`${setting} is no NATS credentials file`);
  return text;
}

const invalid = (reason: string, cause?: unknown) =>
  new StatorError('invalid_request', `nats_creds: ${reason}`, { param: 'natsCreds', cause });
