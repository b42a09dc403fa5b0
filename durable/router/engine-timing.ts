/**
 * How long a model's engines take, learnt from their own reports: a prompt is a fixed time per pass plus a time per token, a
 * decode step a line over the share of KV blocks in use. Until it has spoken, the times are those of Dynamo's mocker, made
 * straight (semantics §10.3); a router that compares workers needs their proportion more than their size.
 *
 * Pure. Cost: a few operations a report; a prediction is a division and two products.
 */

import { DecayedLine } from './decayed-line.ts';

/** Weight of what was known before, at every report. */
const FORGETTING = 0.95;
/** Milliseconds per pass and per prompt token, and the prompts by which they are known at first. */
const PASS_MS = 16.5;
const TOKEN_MS = 0.0184;
const FIRST_PROMPTS = [256, 2_048, 8_192];
/** No engine computes faster; without it a simulated one would make cached prompts worth nothing. */
const LEAST_TOKEN_MS = 0.001;
/** Milliseconds of a decode step with an empty and, added, with a full cache. */
const STEP_MS = 6;
const FULL_STEP_MS = 45;
const FIRST_STEPS = 256;

export class EngineTiming {
  /** Tokens of prompts to milliseconds. */
  readonly #prompts = new DecayedLine(FORGETTING);
  #passMs = PASS_MS;
  #tokenMs = TOKEN_MS;
  /** Milliseconds of steps, and what they would take by the numbers above. */
  #stepsMs = FIRST_STEPS * STEP_MS;
  #expectedStepsMs = FIRST_STEPS * STEP_MS;

  #isLearnt = false;

  constructor() {
    for (const tokens of FIRST_PROMPTS) this.#prompt(tokens, PASS_MS + TOKEN_MS * tokens);
  }

  /** Its engines have told of a prompt. */
  get isLearnt(): boolean {
    return this.#isLearnt;
  }

  /** Mean of what its prompts took of late. */
  get promptMs(): number {
    return this.#prompts.meanY;
  }

  /** Milliseconds per prompt token, the passes apart. */
  get tokenMs(): number {
    return this.#tokenMs;
  }

  /** Milliseconds to compute so many prompt tokens, `passTokens` of them at a time. */
  prefillMs(tokens: number, passTokens: number): number {
    return Math.ceil(tokens / passTokens) * this.#passMs + tokens * this.#tokenMs;
  }

  /** Milliseconds of a decode step while so many of the KV blocks are in use; a worker that never said its total has 0. */
  stepMs(usedBlocks: number, totalBlocks: number): number {
    return (priorStepMs(usedBlocks, totalBlocks) * this.#stepsMs) / this.#expectedStepsMs;
  }

  /** A prompt and the time that it took by itself, at most. */
  learnPrefill(tokens: number, ms: number): void {
    if (!(tokens > 0 && ms > 0)) return;
    this.#isLearnt = true;
    this.#prompt(tokens, ms);
  }

  #prompt(tokens: number, ms: number): void {
    this.#prompts.add(tokens, ms);
    const { meanX: meanTokens, meanY: meanMs, variance, covariance } = this.#prompts;
    // Prompts of one length tell no line; neither does noise: then all of the time is the tokens'.
    const slope = variance > 1e-3 * meanTokens ** 2 ? covariance / variance : 0;
    const tokenMs = slope > 0 ? Math.min(slope, meanMs / meanTokens) : meanMs / meanTokens;
    this.#tokenMs = Math.max(tokenMs, LEAST_TOKEN_MS);
    this.#passMs = Math.max(meanMs - this.#tokenMs * meanTokens, 0);
  }

  /** Decode steps of one request, taken while so many of the KV blocks were in use. */
  learnDecode(steps: number, ms: number, usedBlocks: number, totalBlocks: number): void {
    if (!(steps > 0 && ms > 0)) return;
    this.#stepsMs = this.#stepsMs * FORGETTING + ms;
    this.#expectedStepsMs = this.#expectedStepsMs * FORGETTING + steps * priorStepMs(usedBlocks, totalBlocks);
  }
}

const priorStepMs = (usedBlocks: number, totalBlocks: number) =>
  totalBlocks > 0 ? STEP_MS + FULL_STEP_MS * Math.min(usedBlocks / totalBlocks, 1) : STEP_MS;
