/**
 * Where a profile is measured: prompt lengths, and for decode steps each number of requests at each context length that the
 * worker's KV memory holds. Pure.
 */

import { StatorError } from '../../durable/runtime/errors.ts';

/** What there is to measure; token counts. */
export interface WorkerShape {
  contextLengthTokens: number;
  maxKvTokens: number;
  maxNumSeqs: number;
}

interface Asked {
  /** Absent: doubling from 64 up to what the context holds. */
  inputTokens?: readonly number[];
  contextTokens?: readonly number[];
  concurrency?: readonly number[];
  /** Of each answer that decode steps are measured in. */
  outputTokens: number;
}

export interface DecodePlace {
  /** Tokens of each prompt. */
  inputTokens: number;
  concurrency: number;
}

export interface Places {
  prefill: number[];
  decode: DecodePlace[];
}

const FIRST_INPUT_TOKENS = 64;
const FIRST_CONTEXT_TOKENS = 128;
/** Contexts measured when none are named. */
const CONTEXTS = 4;
/** Of the KV memory: the rest is for a watermark and half-filled blocks. */
const FILLED = 0.9;

/** Throws `invalid_request` for lengths that the worker cannot take. */
export function placesOf(asked: Asked, shape: WorkerShape): Places {
  const { outputTokens } = asked;
  const most = shape.contextLengthTokens - 1;
  const longest = shape.contextLengthTokens - outputTokens;
  const prefill = rising(asked.inputTokens ?? doubling(FIRST_INPUT_TOKENS, most));
  checkFits('input-tokens', prefill, most);
  if (longest < 1) {
    throw invalid(
      `--output-tokens ${outputTokens} leaves no room in a context of ${shape.contextLengthTokens}`,
    );
  }
  const contexts = rising(asked.contextTokens ?? spread(FIRST_CONTEXT_TOKENS, longest));
  checkFits('context-tokens', contexts, longest);
  const decode = contexts.flatMap((inputTokens) => {
    const room = Math.floor((FILLED * shape.maxKvTokens) / (inputTokens + outputTokens));
    const held = Math.max(1, Math.min(shape.maxNumSeqs, room));
    const counts = rising(asked.concurrency ?? [...doubling(1, held), held]);
    return counts.filter((count) => count <= held).map((concurrency) => ({ inputTokens, concurrency }));
  });
  if (decode.length === 0) throw invalid('--concurrency: the worker holds fewer requests at once');
  return { prefill, decode };
}

/** Up to `last`, which is among them. */
function doubling(first: number, last: number): number[] {
  const values: number[] = [];
  for (let value = first; value < last; value *= 2) values.push(value);
  return [...values, last];
}

/** A few lengths, each so many times the one before. */
const spread = (first: number, last: number): number[] =>
  first >= last
    ? [last]
    : Array.from({ length: CONTEXTS }, (_, i) => Math.round(first * (last / first) ** (i / (CONTEXTS - 1))));

const rising = (values: readonly number[]): number[] =>
  [...new Set(values)].sort((left, right) => left - right);

function checkFits(flag: string, values: readonly number[], most: number): void {
  const wrong = values.find((value) => !Number.isInteger(value) || value < 1 || value > most);
  if (wrong !== undefined)
    throw invalid(`--${flag}: ${wrong} is not from 1 to ${most}, which this worker takes`);
}

const invalid = (what: string) => new StatorError('invalid_request', what);
