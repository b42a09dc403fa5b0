/** What the engine contract needs to talk to an engine: requests with defaults, a sink that writes down everything. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Engine, EngineRequest, EngineSink, FinishReason } from '../../gpu-sidecar/engines/engine.ts';

export interface Outcome {
  cachedTokens: number | null;
  tokens: number[];
  indexes: number[];
  reason: FinishReason;
  error: Error | undefined;
  ends: number;
}

export interface Recording extends EngineSink {
  readonly outcome: Outcome;
  readonly done: Promise<Outcome>;
  /** Called after each token is written down. */
  onToken?: (count: number) => void;
}

export function record(onToken?: (count: number) => void): Recording {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const outcome: Outcome = {
    cachedTokens: null,
    tokens: [],
    indexes: [],
    reason: 'error',
    error: undefined,
    ends: 0,
  };
  return {
    outcome,
    done: promise,
    started(cachedTokens) {
      if (outcome.cachedTokens !== null) throw new Error('started twice');
      outcome.cachedTokens = cachedTokens;
    },
    token(id, index) {
      if (outcome.cachedTokens === null) throw new Error('a token before started');
      if (outcome.ends > 0) throw new Error('a token after the end');
      outcome.tokens.push(id);
      outcome.indexes.push(index);
      onToken?.(outcome.tokens.length);
    },
    end(reason, error) {
      outcome.ends++;
      outcome.reason = reason;
      outcome.error = error;
      resolve(outcome);
    },
  };
}

let requests = 0;

/** A greedy request for `tokenIds`, everything else at its default. */
export function request(tokenIds: ArrayLike<number>, changes: Partial<EngineRequest> = {}): EngineRequest {
  const ids = Uint32Array.from(tokenIds);
  return {
    requestId: `req_${++requests}`,
    tokenIds: ids,
    promptTokens: ids.length,
    blockHashes: new Uint8Array(0),
    hashSeed: 1337n,
    maxTokens: 8,
    minTokens: 0,
    stopTokenIds: [],
    ignoreEos: true,
    priority: 0,
    ...changes,
    sampling: { ...GREEDY, ...changes.sampling },
  };
}

export const GREEDY = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: 7n,
  choice: 0,
  topLogprobs: null,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map<number, number>(),
};

export function run(engine: Engine, what: EngineRequest): Promise<Outcome> {
  const recording = record();
  engine.submit(what, recording);
  return recording.done;
}

/** `length` ordinary tokens, different for every `salt`, the same on every engine of a kind. */
export function promptOf(engine: Engine, options: { length: number; salt: number }): Uint32Array {
  const { vocabulary } = engine;
  const ids = new Uint32Array(options.length);
  let state = options.salt * 2654435761 + 12345;
  for (let i = 0; i < ids.length; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const id = (state >>> 8) % vocabulary.size;
    if (!vocabulary.isControl(id) && !vocabulary.isEndOfGeneration(id)) ids[i++] = id;
  }
  return ids;
}

/** Turns of the event loop until a condition holds: tests wait for facts, not for time. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 2_000_000) throw new Error('the condition never came true');
    await nextTurn();
  }
}

export const isIdle = (engine: Engine): boolean => {
  const { running, waiting, kvUsedBlocks } = engine.load();
  return running === 0 && waiting === 0 && kvUsedBlocks === 0;
};
