/**
 * A line of an input file, as OpenAI has it: `{"custom_id", "method": "POST", "url", "body"}`. Pure: what is wrong is a
 * value, because a batch reports all of its lines.
 */

import { LIMITS } from '../runtime/limits.ts';

export interface InputLine {
  customId: string;
  body: Record<string, unknown>;
}

export interface InputFault {
  code: string;
  message: string;
  param: string | null;
}

/** `endpoint`: that of the batch, which every line must name. */
export function parseInputLine(text: string, endpoint: string): InputLine | InputFault {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return fault('invalid_json_line', 'This line is not parseable as valid JSON.');
  }
  if (!isObject(line)) return fault('invalid_json_line', 'This line is not a JSON object.');
  const { custom_id, method, url, body } = line;
  if (typeof custom_id !== 'string' || custom_id === '') {
    return fault('missing_required_parameter', "'custom_id' must be a string of its own.", 'custom_id');
  }
  if (custom_id.length > LIMITS.batchCustomIdLength) {
    const message = `'custom_id' has more than ${LIMITS.batchCustomIdLength} characters.`;
    return fault('invalid_custom_id', message, 'custom_id');
  }
  if (method !== 'POST') return fault('invalid_method', "'method' must be POST.", 'method');
  if (url !== endpoint) {
    return fault('invalid_url', `'url' must be the endpoint of the batch, ${endpoint}.`, 'url');
  }
  if (!isObject(body)) return fault('missing_required_parameter', "'body' must be an object.", 'body');
  if (typeof body['model'] !== 'string' || body['model'] === '') {
    return fault('missing_required_parameter', "'body.model' must name a model.", 'body.model');
  }
  if (body['stream'] === true) {
    return fault('unsupported_parameter', 'Answers of a batch are not streamed.', 'body.stream');
  }
  return { customId: custom_id, body };
}

const fault = (code: string, message: string, param: string | null = null): InputFault => ({
  code,
  message,
  param,
});

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
