/**
 * Load mode (semantics §8.4): each engine's next TTFT and ITL, estimated from its queue and its memory with lines fitted to
 * its passes. One worker more when every engine is over a target, one less when every engine would keep both with room
 * to spare after its share of the leaving one's work is added.
 *
 * An engine's queue at one moment, or on average over time, says little where requests come in bursts: what counts is what
 * waits while a prompt is computed, on average of a window of readings. Memory in use is the most of the window.
 */

import * as z from 'zod';
import { type Counts, type PlannedRole, rolesOf } from '../fleet.ts';
import type { EngineReading, Metrics } from '../metrics.ts';
import { hold, type Proposal, type Targets } from './proposal.ts';
import { addSamples, lineThrough, SAMPLES } from './regression.ts';

const SEEN = z.object({
  id: z.string(),
  /** By reading, newest last. */
  queuedTokens: z.array(z.number()),
  decodeKvTokens: z.array(z.number()),
  maxKvTokens: z.number(),
});

export const LOAD_MEMORY = z.partialRecord(
  z.enum(['worker', 'prefill', 'decode']),
  z.object({ engines: z.array(SEEN), prefill: SAMPLES, decode: SAMPLES }),
);

export type LoadMemory = z.infer<typeof LOAD_MEMORY>;

type RoleMemory = NonNullable<LoadMemory[PlannedRole]>;

/** Scaling down must leave this share of a target unused. */
const ROOM = 0.8;

/** With what the engines said last. `windowReadings`: how many readings are remembered. */
export function rememberLoad(
  before: LoadMemory,
  engines: Metrics['engines'],
  windowReadings: number,
): LoadMemory {
  const after: LoadMemory = {};
  for (const role of rolesOf(engines)) {
    const kept = before[role] ?? { engines: [], prefill: [], decode: [] };
    after[role] = rememberRole(kept, engines[role]!, windowReadings);
  }
  return after;
}

function rememberRole(kept: RoleMemory, readings: readonly EngineReading[], window: number): RoleMemory {
  const passes = readings.flatMap((reading) => reading.passes).filter(({ wallMs }) => wallMs > 0);
  const prefills = passes.filter(({ prefillTokens }) => prefillTokens > 0);
  const decodes = passes.filter(
    ({ prefillTokens, decodeKvTokens }) => prefillTokens === 0 && decodeKvTokens > 0,
  );
  return {
    engines: readings.map((reading) => {
      const seen = kept.engines.find(({ id }) => id === reading.id);
      const busy = reading.passes.filter(({ prefillTokens }) => prefillTokens > 0);
      const queued = busy.reduce((sum, pass) => sum + pass.queuedTokens, 0) / Math.max(1, busy.length);
      const decoding = reading.passes.reduce(
        (most, pass) => Math.max(most, pass.decodeKvTokens),
        reading.decodeKvTokens,
      );
      return {
        id: reading.id,
        queuedTokens: [...(seen?.queuedTokens ?? []), Math.max(0, queued)].slice(-window),
        decodeKvTokens: [...(seen?.decodeKvTokens ?? []), decoding].slice(-window),
        maxKvTokens: reading.maxKvTokens,
      };
    }),
    prefill: addSamples(
      kept.prefill,
      prefills.map(({ prefillTokens, wallMs }) => [prefillTokens, wallMs] as const),
    ),
    decode: addSamples(
      kept.decode,
      decodes.map(({ decodeKvTokens, wallMs }) => [decodeKvTokens, wallMs] as const),
    ),
  };
}

export interface LoadParts {
  memory: LoadMemory;
  counts: Counts;
  targets: Targets;
  /** Of a prompt, on average. */
  inputTokens: number;
  /** Of one pass. */
  maxBatchedTokens: number;
  /** Readings that an engine must have given before anything is taken away. */
  windowReadings: number;
}

type Verdict = 'up' | 'down' | 'stay' | 'unknown';

/** ±1 per role. */
export function proposeByLoad(parts: LoadParts): Proposal {
  const counts: Partial<Record<PlannedRole, number>> = {};
  const said: string[] = [];
  let known = false;
  for (const role of rolesOf(parts.counts)) {
    const verdict = verdictOf(role, parts);
    if (verdict !== 'unknown') known = true;
    counts[role] = parts.counts[role]! + (verdict === 'up' ? 1 : verdict === 'down' ? -1 : 0);
    said.push(`${role}: ${verdict}`);
  }
  return known ? { kind: 'counts', counts, because: said.join(', ') } : hold('too few passes measured');
}

function verdictOf(role: PlannedRole, parts: LoadParts): Verdict {
  const memory = parts.memory[role];
  if (memory === undefined || memory.engines.length === 0) return 'unknown';
  const verdicts: Verdict[] = [];
  if (role !== 'decode') verdicts.push(ttftVerdict(memory, parts));
  if (role !== 'prefill') verdicts.push(itlVerdict(memory, parts));
  if (verdicts.includes('up')) return 'up';
  const isLong = memory.engines.every(({ queuedTokens }) => queuedTokens.length >= parts.windowReadings);
  const work = (sum: number, engine: RoleMemory['engines'][number]) =>
    sum + deepestOf(engine.queuedTokens) + deepestOf(engine.decodeKvTokens);
  // Nothing was ever computed by an engine that nobody asks: it is not needed.
  if (isLong && memory.engines.reduce(work, 0) === 0) return 'down';
  if (verdicts.includes('unknown')) return 'unknown';
  if (!isLong) return 'stay';
  return verdicts.every((verdict) => verdict === 'down') ? 'down' : 'stay';
}

function ttftVerdict(
  { engines, prefill }: RoleMemory,
  { targets, inputTokens, maxBatchedTokens }: LoadParts,
): Verdict {
  const passMs = lineThrough(prefill);
  if (passMs === null) return 'unknown';
  const computeMs = (tokens: number): number => {
    const whole = Math.floor(tokens / maxBatchedTokens);
    const rest = tokens - whole * maxBatchedTokens;
    return whole * passMs(maxBatchedTokens) + (rest > 0 ? passMs(rest) : 0);
  };
  const ownMs = computeMs(inputTokens);
  const queued = engines.map((engine) => meanOf(engine.queuedTokens));
  if (queued.every((tokens) => computeMs(tokens + inputTokens) > targets.ttftMs)) return 'up';
  const after = engines.length / (engines.length - 1);
  const fits = queued.every(
    (tokens) => computeMs(after * tokens + inputTokens) - ownMs < ROOM * (targets.ttftMs - ownMs),
  );
  return engines.length > 1 && fits ? 'down' : 'stay';
}

function itlVerdict({ engines, decode }: RoleMemory, { targets }: LoadParts): Verdict {
  const stepMs = lineThrough(decode);
  if (stepMs === null) return 'unknown';
  const used = engines.map((engine) => ({
    tokens: deepestOf(engine.decodeKvTokens),
    most: engine.maxKvTokens,
  }));
  if (used.every(({ tokens }) => stepMs(tokens) > targets.itlMs)) return 'up';
  const after = engines.length / (engines.length - 1);
  const fits = used.every(
    ({ tokens, most }) => stepMs(after * tokens) < ROOM * targets.itlMs && after * tokens < most,
  );
  return engines.length > 1 && fits ? 'down' : 'stay';
}

const deepestOf = (values: readonly number[]): number =>
  values.reduce((most, value) => Math.max(most, value), 0);

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
