/**
 * Parses a GenerateRequest into what the engine and the response path take. Everything behind it trusts these values.
 *
 * Throws `invalid_request` with the field's name as `param`, or `context_length_exceeded`. Cost: a copy of the prompt.
 */

import type { Clock } from '../../durable/runtime/clock.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { GrammarCompiler } from '../engines/constraint/constraint.ts';
import type { EngineRequest, SamplingOptions, Vocabulary } from '../engines/engine.ts';
import type { ModelCard } from '../proto/gen/stator/v1/model_pb.js';
import {
  Dialect,
  type GenerateRequest,
  type Nvext,
  type PrefillPeer,
  type Sampling,
} from '../proto/gen/stator/v1/worker_pb.js';
import { endOfMarker } from '../response/choice-turns.ts';
import { detokenise } from '../response/detokenise.ts';
import type { DialectName, ResponseFacts } from '../response/facts.ts';
import { NvextAnswer } from '../response/nvext.ts';
import type { ResumePoint } from '../response/resumed-stream.ts';
import { tokenTexts } from '../response/token-texts.ts';
import { type WantedGrammar, wantedGrammar } from './answer-constraint.ts';
import { parserOptions } from './parser-options.ts';
import type { WorkerLimits } from './worker-limits.ts';

export interface ParsedGenerate {
  /** Without its constraint, which takes time to compile. */
  engine: EngineRequest;
  /** null: any text. */
  grammar: WantedGrammar | null;
  facts: ResponseFacts;
  resume: ResumePoint | null;
  /** The platform is told of the response's end. */
  keep: boolean;
  reservation: number;
  routerBoot: number;
  /** Who computes the prompt; null: the engine here. */
  prefill: PrefillPeer | null;
}

export interface ModelBounds {
  vocabulary: Vocabulary;
  contextLengthTokens: number;
  card: ModelCard;
  grammars: GrammarCompiler | undefined;
  /** Only differences of it are used. */
  stopwatch: Clock;
  limits: WorkerLimits;
}

export function parseGenerate(request: GenerateRequest, bounds: ModelBounds): ParsedGenerate {
  const { grammar, output, stop } = request;
  if (output === undefined) throw invalid('output', 'missing');
  const promptIds = tokenIds(request.tokenIds, 'token_ids', bounds.vocabulary);
  if (promptIds.length === 0) throw invalid('token_ids', 'the prompt is empty');
  const choices = request.sampling?.n || 1;
  if (choices > bounds.limits.choices) throw invalid('sampling.n', `more than ${bounds.limits.choices}`);
  const resume =
    request.resume === undefined ? null : resumePoint(request.resume, bounds.vocabulary, choices);
  if (resume !== null && !output.stream) throw invalid('resume', 'only a stream can be continued');
  if (request.blockHashes.length % 8 !== 0) throw invalid('block_hashes', 'not whole 64-bit words');
  const maxTokens = stop?.maxTokens ?? 0;
  if (maxTokens === 0) throw invalid('stop.max_tokens', 'must be at least 1');
  if (promptIds.length >= bounds.contextLengthTokens) throw tooLong(promptIds.length, bounds);
  const stops = stop?.stop ?? [];
  checkStops(stops, bounds.limits);
  const parsing = parserOptions(output, promptIds, bounds);
  const { oneToolCall } = output;
  return {
    engine: {
      requestId: requestId(request.requestId),
      // Several choices have tokens of their own behind the prompt (`methods/fork.ts`).
      tokenIds: resume === null || choices > 1 ? promptIds : joined(promptIds, resume.tokenIds),
      promptTokens: promptIds.length,
      blockHashes: request.blockHashes,
      hashSeed: request.hashSeed,
      sampling: sampling(request.sampling, bounds.limits),
      maxTokens,
      minTokens: stop?.minTokens ?? 0,
      stopTokenIds: stop === undefined ? [] : [...tokenIds(stop.stopTokenIds, 'stop.stop_token_ids', null)],
      ignoreEos: stop?.ignoreEos ?? false,
      priority: request.priority,
    },
    facts: {
      dialect: dialectName(output.dialect),
      stream: output.stream,
      includeUsage: output.includeUsage,
      responseId: output.responseId,
      created: Number(output.created),
      model: request.model,
      envelope: output.envelope,
      promptTokens: promptIds.length,
      contextLengthTokens: bounds.contextLengthTokens,
      echoText: output.echo ? detokenise(tokenTexts(bounds.vocabulary, null), promptIds) : '',
      stop: stops,
      choices,
      logprobs: request.sampling?.topLogprobs !== undefined,
      minTokens: stop?.minTokens ?? 0,
      parsing,
      oneToolCall,
      nvext: output.nvext === undefined ? null : nvextAnswer(output.nvext, resume !== null, bounds.stopwatch),
    },
    grammar: grammar === undefined ? null : wantedGrammar(grammar, { ...bounds, parsing, oneToolCall }),
    resume,
    keep: output.keep,
    reservation: request.reservation,
    routerBoot: request.routerBoot,
    prefill: request.prefill ?? null,
  };
}

const invalid = (param: string, reason: string): StatorError =>
  new StatorError('invalid_request', `${param}: ${reason}`, { param });

const tooLong = (tokens: number, bounds: ModelBounds): StatorError =>
  new StatorError(
    'context_length_exceeded',
    `the prompt has ${tokens} tokens; the context of ${bounds.contextLengthTokens} leaves no room for an answer`,
    { param: 'messages' },
  );

function nvextAnswer(asked: Nvext, continued: boolean, clock: Clock): NvextAnswer {
  const { workerId, dpRank, elapsedMs, prefillWorkerId, prefillDpRank } = asked;
  const prefilledBy = prefillWorkerId === '' ? null : { id: prefillWorkerId, dpRank: prefillDpRank };
  const requestReceivedMs = Number(asked.requestReceivedMs);
  const options = {
    worker: workerId === '' ? null : { id: workerId, dpRank, prefilledBy },
    timing: requestReceivedMs === 0 ? null : { requestReceivedMs, elapsedMs },
    continued,
  };
  return new NvextAnswer(options, clock);
}

/** Goes into a header, so only visible ASCII. */
function requestId(text: string): string {
  if (!/^[\x21-\x7e]{1,128}$/.test(text)) throw invalid('request_id', 'must be 1 to 128 visible characters');
  return text;
}

/** Packed words as numbers; with a vocabulary, every id must be in it, or mark the end of a choice where `marked`. */
export function tokenIds(
  bytes: Uint8Array,
  param: string,
  vocabulary: Vocabulary | null,
  marked = false,
): Uint32Array {
  if (bytes.length % 4 !== 0) throw invalid(param, 'not whole 32-bit words');
  const ids = new Uint32Array(bytes.length / 4);
  new Uint8Array(ids.buffer).set(bytes);
  if (vocabulary !== null) {
    const size = vocabulary.size;
    for (let i = 0; i < ids.length; i++) {
      if (ids[i]! < size || (marked && endOfMarker(ids[i]!) !== null)) continue;
      throw invalid(param, `token ${ids[i]} is not in the vocabulary of ${size}`);
    }
  }
  return ids;
}

function resumePoint(
  resume: NonNullable<GenerateRequest['resume']>,
  vocabulary: Vocabulary,
  choices: number,
): ResumePoint {
  return {
    tokenIds: tokenIds(resume.tokenIds, 'resume.token_ids', vocabulary, choices > 1),
    events: resume.events,
    partial: resume.partialEvent,
    cachedTokens: resume.cachedTokens ?? null,
  };
}

function joined(first: Uint32Array, second: Uint32Array): Uint32Array {
  const all = new Uint32Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

function checkStops(stops: readonly string[], limits: WorkerLimits): void {
  if (stops.length > limits.stopStrings) throw invalid('stop.stop', `more than ${limits.stopStrings}`);
  for (const text of stops) {
    if (text === '') throw invalid('stop.stop', 'an empty string');
    if (text.length > limits.stopStringLength) {
      throw invalid('stop.stop', `longer than ${limits.stopStringLength} characters`);
    }
  }
}

function dialectName(dialect: Dialect): DialectName {
  switch (dialect) {
    case Dialect.OPENAI_CHAT:
      return 'openai-chat';
    case Dialect.OPENAI_COMPLETION:
      return 'openai-completion';
    case Dialect.OPENAI_RESPONSES:
      return 'openai-responses';
    case Dialect.ANTHROPIC_MESSAGES:
      return 'anthropic-messages';
    default:
      throw invalid('output.dialect', 'unknown');
  }
}

/** Absent values are those that change nothing; what a number may be is checked here, once. */
function sampling(from: Sampling | undefined, limits: WorkerLimits): SamplingOptions {
  const number = (name: string, value: number, least: number, most: number): number => {
    if (value >= least && value <= most) return value;
    throw invalid(`sampling.${name}`, `${value} is not between ${least} and ${most}`);
  };
  return {
    temperature: number('temperature', from?.temperature ?? 0, 0, 100),
    topP: number('top_p', from?.topP || 1, 0, 1),
    topK: from?.topK ?? 0,
    minP: number('min_p', from?.minP ?? 0, 0, 1),
    seed: from?.seed ?? 0n,
    choice: 0,
    topLogprobs:
      from?.topLogprobs === undefined
        ? null
        : number('top_logprobs', from.topLogprobs, 0, limits.topLogprobs),
    presencePenalty: number('presence_penalty', from?.presencePenalty ?? 0, -2, 2),
    frequencyPenalty: number('frequency_penalty', from?.frequencyPenalty ?? 0, -2, 2),
    repetitionPenalty: number('repetition_penalty', from?.repetitionPenalty || 1, 0, 100),
    logitBias: logitBias(from?.logitBias),
  };
}

const NO_BIAS: ReadonlyMap<number, number> = new Map();

function logitBias(from: Record<number, number> | undefined): ReadonlyMap<number, number> {
  if (from === undefined) return NO_BIAS;
  const entries = Object.entries(from);
  if (entries.length === 0) return NO_BIAS;
  return new Map(entries.map(([id, bias]) => [Number(id), bias]));
}
