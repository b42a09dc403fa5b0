/**
 * Measuring: which requests are sent for a place, and what their answers say of it. The clock is the worker's: answers bring its own
 * times (`nvext.timing`), so the way there and back is in no figure.
 *
 * Prefill: prompts that nobody has seen, one at a time, one token each; the middle of several. Decode: all prompts are computed
 * first, so that their blocks are found; then all requests at once, and the time between two tokens over the middle half of
 * each answer, where all of them are under way.
 */

import type { DecodePlace, Places, WorkerShape } from './places.ts';

/** What an answer says of itself, in milliseconds. */
export interface AnswerTimes {
  workerTtftMs: number;
  /** Null: too short an answer. */
  steadyItlMs: number | null;
}

export interface ProfiledWorker {
  /** A prompt of so many tokens that shares no block with any other. */
  freshPrompt(tokens: number): Uint32Array;
  /** Rejects with StatorError. */
  ask(prompt: Uint32Array, outputTokens: number): Promise<AnswerTimes>;
}

export type Measurement =
  | { kind: 'prefill'; inputTokens: number; ttftMs: number }
  | ({ kind: 'decode'; itlMs: number } & DecodePlace);

export interface MeasureOptions {
  outputTokens: number;
  repeats: number;
  /** Those that need not be measured again. */
  known: readonly Measurement[];
  /** Checked before each place. */
  mustStop(): boolean;
  /** Hears what is measured next, and how many places there are. */
  begins(what: string, at: { done: number; of: number }): void;
}

/** One by one; ends early when it must, or by the first error. */
export async function* measure(
  worker: ProfiledWorker,
  places: Places,
  options: MeasureOptions,
): AsyncGenerator<Measurement> {
  const { known, mustStop, begins } = options;
  const of = places.prefill.length + places.decode.length;
  let done = 0;
  for (const inputTokens of places.prefill) {
    if (mustStop()) return;
    begins(`a prompt of ${inputTokens} tokens`, { done, of });
    const isKnown = known.some((each) => each.kind === 'prefill' && each.inputTokens === inputTokens);
    if (!isKnown) yield await measurePrefill(worker, inputTokens, options);
    done++;
  }
  for (const place of places.decode) {
    if (mustStop()) return;
    begins(`${place.concurrency} × ${place.inputTokens} tokens`, { done, of });
    const isKnown = known.some(
      (each) =>
        each.kind === 'decode' &&
        each.inputTokens === place.inputTokens &&
        each.concurrency === place.concurrency,
    );
    if (!isKnown) yield await measureDecode(worker, place, options);
    done++;
  }
}

async function measurePrefill(
  worker: ProfiledWorker,
  inputTokens: number,
  { repeats }: MeasureOptions,
): Promise<Measurement> {
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    times.push((await worker.ask(worker.freshPrompt(inputTokens), 1)).workerTtftMs);
  }
  return { kind: 'prefill', inputTokens, ttftMs: median(times) };
}

async function measureDecode(
  worker: ProfiledWorker,
  place: DecodePlace,
  { outputTokens }: MeasureOptions,
): Promise<Measurement> {
  const prompts = Array.from({ length: place.concurrency }, () => worker.freshPrompt(place.inputTokens));
  await Promise.all(prompts.map((prompt) => worker.ask(prompt, 1)));
  const answers = await Promise.all(prompts.map((prompt) => worker.ask(prompt, outputTokens)));
  const times = answers.flatMap(({ steadyItlMs }) => steadyItlMs ?? []);
  return { kind: 'decode', itlMs: median(times), ...place };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1]!, sorted[Math.floor(middle)]!];
  return (low + high) / 2;
}

export interface Measured extends Pick<WorkerShape, 'maxKvTokens'> {
  outputTokens: number;
  gpusPerWorker: number;
}

/** Null until there is at least one measurement of each kind. */
export function profileOf(
  measurements: readonly Measurement[],
  { maxKvTokens, outputTokens, gpusPerWorker }: Measured,
) {
  const prefill = measurements.flatMap((each) => (each.kind === 'prefill' ? [each] : []));
  const decode = measurements.flatMap((each) => (each.kind === 'decode' ? [each] : []));
  if (prefill.length === 0 || decode.length === 0) return null;
  prefill.sort((left, right) => left.inputTokens - right.inputTokens);
  // As Dynamo's profiler counts: in the middle of the answer.
  const context = ({ inputTokens }: DecodePlace) => inputTokens + outputTokens / 2;
  return {
    gpusPerWorker,
    prefill: {
      inputTokens: prefill.map(({ inputTokens }) => inputTokens),
      ttftMs: prefill.map(({ ttftMs }) => ttftMs),
      tokensPerSecondPerGpu: prefill.map(
        ({ inputTokens, ttftMs }) => (1000 * inputTokens) / ttftMs / gpusPerWorker,
      ),
    },
    decode: {
      maxKvTokens,
      points: {
        kvUsage: decode.map((place) => (place.concurrency * context(place)) / maxKvTokens),
        contextTokens: decode.map(context),
        itlMs: decode.map(({ itlMs }) => itlMs),
        tokensPerSecondPerGpu: decode.map(
          ({ concurrency, itlMs }) => (1000 * concurrency) / itlMs / gpusPerWorker,
        ),
        concurrency: decode.map(({ concurrency }) => concurrency),
      },
    },
  };
}
