/** The shared fields of a validated body → sampling and stop conditions. OpenAI's defaults: temperature 1, top_p 1. */
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Sampling, StopConditions } from '../inference-request.ts';
import { invalid } from './parse.ts';
import type { SamplingBody } from './sampling-schema.ts';
import { wellFormed } from './well-formed.ts';

const NONE: readonly never[] = [];

export function samplingOf(body: SamplingBody): Sampling {
  const { nvext } = body;
  return {
    temperature: nvext?.greed_sampling ? 0 : (body.temperature ?? 1),
    topP: body.top_p ?? 1,
    topK: Math.max(body.top_k ?? nvext?.top_k ?? 0, 0),
    minP: body.min_p ?? 0,
    seed: body.seed == null ? null : BigInt.asUintN(64, BigInt(body.seed)),
    presencePenalty: body.presence_penalty ?? 0,
    frequencyPenalty: body.frequency_penalty ?? 0,
    repetitionPenalty: body.repetition_penalty ?? nvext?.repetition_penalty ?? 1,
    logitBias: body.logit_bias ? logitBiasOf(body.logit_bias) : NONE,
    n: body.n ?? 1,
    topLogprobs: null,
  };
}

function logitBiasOf(bias: Record<string, number>): [number, number][] {
  const entries = Object.entries(bias);
  if (entries.length > LIMITS.logitBiasEntries) {
    throw invalid('logit_bias', `at most ${LIMITS.logitBiasEntries} entries are allowed.`);
  }
  return entries.map(([tokenId, value]) => [Number(tokenId), value]);
}

function stopStrings(stop: string | string[]): string[] {
  if (typeof stop === 'string') return [wellFormed(stop, 'stop')];
  return stop.map((text, index) => wellFormed(text, `stop[${index}]`));
}

export function stopOf(body: SamplingBody, maxTokens: number | null): StopConditions {
  const { stop } = body;
  const minTokens = body.min_tokens ?? 0;
  if (maxTokens !== null && minTokens > maxTokens) {
    throw invalid('min_tokens', `${minTokens} is more than max_tokens (${maxTokens}).`);
  }
  return {
    maxTokens,
    minTokens,
    stop: stop == null ? NONE : stopStrings(stop),
    stopTokenIds: body.stop_token_ids ?? NONE,
    ignoreEos: body.ignore_eos ?? body.nvext?.ignore_eos ?? false,
  };
}
