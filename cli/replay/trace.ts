/**
 * Traces in Mooncake's format: one JSON object a line with `timestamp` (ms), `input_length` and `output_length` (tokens)
 * and `hash_ids` (one per `traceBlockSize` tokens of the prompt; equal leading ids are equal prefixes). Other fields
 * are ignored. Everything wrong is one error that names file, line and field.
 */

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';

export interface TraceRequest {
  readonly atMs: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly hashIds: readonly number[];
}

export interface Trace {
  readonly name: string;
  /** Tokens that one hash id stands for. */
  readonly blockTokens: number;
  /** In order of time; at least one. */
  readonly requests: readonly TraceRequest[];
}

/** Mooncake's. */
export const TRACE_BLOCK_TOKENS = 512;

/** Throws `invalid_request`. */
export function readTrace(path: string, blockTokens = TRACE_BLOCK_TOKENS): Trace {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new StatorError(
      'invalid_request',
      `the trace ${path} cannot be read: ${(thrown as Error).message}`,
    );
  }
  return parseTrace(text, { name: basename(path), blockTokens });
}

/** Throws `invalid_request`. */
export function parseTrace(text: string, { name, blockTokens }: Omit<Trace, 'requests'>): Trace {
  const requests: TraceRequest[] = [];
  let lineNumber = 0;
  for (const line of text.split('\n')) {
    lineNumber++;
    if (line.trim() === '') continue;
    const at = `${name} line ${lineNumber}`;
    if (requests.length === LIMITS.traceRequests)
      throw invalid(at, `more than ${LIMITS.traceRequests} requests`);
    const request = parseRequest(line, at, blockTokens);
    const before = requests.at(-1);
    if (before !== undefined && request.atMs < before.atMs) {
      throw invalid(
        at,
        `timestamp ${request.atMs} is before ${before.atMs} of the request above; sort the trace`,
      );
    }
    requests.push(request);
  }
  if (requests.length === 0) throw invalid(name, 'the trace is empty');
  return { name, blockTokens, requests };
}

function parseRequest(line: string, at: string, blockTokens: number): TraceRequest {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    throw invalid(at, 'not JSON');
  }
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
    throw invalid(at, 'not a JSON object');
  const fields = entry as Record<string, unknown>;
  const atMs = number(fields, 'timestamp', at);
  const inputTokens = count(fields, 'input_length', at);
  const outputTokens = count(fields, 'output_length', at);
  const hashIds = ids(fields, at);
  const needed = Math.ceil(inputTokens / blockTokens);
  if (hashIds.length < needed) {
    throw invalid(
      at,
      `hash_ids has ${hashIds.length} entries; ${inputTokens} tokens in blocks of ${blockTokens} need ${needed}`,
    );
  }
  return { atMs, inputTokens, outputTokens, hashIds };
}

function number(fields: Record<string, unknown>, name: string, at: string): number {
  const value = fields[name];
  if (value === undefined) throw invalid(at, `${name} is missing`);
  if (typeof value !== 'number' || value < 0) throw invalid(at, `${name} is not a number of 0 or more`);
  return value;
}

function count(fields: Record<string, unknown>, name: string, at: string): number {
  const value = number(fields, name, at);
  if (!Number.isInteger(value) || value < 1 || value > LIMITS.traceTokens) {
    throw invalid(at, `${name} is not a whole number from 1 to ${LIMITS.traceTokens}`);
  }
  return value;
}

function ids(fields: Record<string, unknown>, at: string): number[] {
  const value = fields['hash_ids'];
  if (value === undefined) throw invalid(at, 'hash_ids is missing');
  const isId = (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) <= 0xffff_ffff;
  if (!Array.isArray(value) || !value.every(isId)) throw invalid(at, 'hash_ids is not a list of u32 numbers');
  return value;
}

const invalid = (at: string, what: string) => new StatorError('invalid_request', `${at}: ${what}`);
