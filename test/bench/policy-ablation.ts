/**
 * The rule without each of its parts, and with timing that is wrong: geometric means over cells of each variant ÷ the rule
 * as it is. Constants and learning are changed in this process only; they are no settings.
 */

import { COST_RULES } from '../../durable/router/costs/registry.ts';
import { STATOR_CONSTANTS, stator, statorRule } from '../../durable/router/costs/stator.ts';
import { EngineTiming } from '../../durable/router/engine-timing.ts';
import type { Figures, Run, Runs } from './policy-runs.ts';

interface Variant {
  set?: NonNullable<Run['set']>;
  /** Engines are so many times as fast as the router believes at first, and so are arrivals; figures are scaled back. */
  faster?: number;
  /** Changes what it is made of; returns how to undo it. */
  change?: () => () => void;
}

const constants = (changed: Partial<typeof STATOR_CONSTANTS>) => () => {
  const rules = COST_RULES as Record<string, typeof stator>;
  rules['stator'] = statorRule({ ...STATOR_CONSTANTS, ...changed });
  return () => {
    rules['stator'] = stator;
  };
};

type Name = 'learnPrefill' | 'learnDecode' | 'prefillMs' | 'stepMs' | 'tokenMs';

/** Puts other members in place of the timing's. */
function timing(members: Partial<Record<Name, PropertyDescriptor>>) {
  return () => {
    const { prototype } = EngineTiming;
    const names = Object.keys(members) as Name[];
    const before = names.map((name) => Object.getOwnPropertyDescriptor(prototype, name)!);
    Object.defineProperties(prototype, members as PropertyDescriptorMap);
    return () => {
      names.forEach((name, i) => {
        Object.defineProperty(prototype, name, before[i]!);
      });
    };
  };
}

const { learnPrefill, prefillMs, stepMs } = EngineTiming.prototype;

/** What it believes at first is also learnt, by so many calls. */
const FIRST_PROMPTS = 3;
const calls = new WeakMap<EngineTiming, number>();
const FROZEN: Partial<Record<Name, PropertyDescriptor>> = {
  learnPrefill: {
    configurable: true,
    value(this: EngineTiming, ...of: Parameters<typeof learnPrefill>) {
      const made = calls.get(this) ?? 0;
      calls.set(this, made + 1);
      if (made < FIRST_PROMPTS) learnPrefill.apply(this, of);
    },
  },
  learnDecode: { configurable: true, value() {} },
};
const tokenMs = Object.getOwnPropertyDescriptor(EngineTiming.prototype, 'tokenMs')!.get!;

/** What the engine takes for prompts is believed to be `factor` times what it is, for ever. */
const wrongPrefill = (factor: number) =>
  timing({
    ...FROZEN,
    prefillMs: {
      configurable: true,
      value(this: EngineTiming, ...of: Parameters<typeof prefillMs>) {
        return factor * prefillMs.apply(this, of);
      },
    },
    tokenMs: {
      configurable: true,
      get(this: EngineTiming) {
        return factor * (tokenMs.call(this) as number);
      },
    },
  });

const wrongSteps = (factor: number) =>
  timing({
    ...FROZEN,
    stepMs: {
      configurable: true,
      value(this: EngineTiming, ...of: Parameters<typeof stepMs>) {
        return factor * stepMs.apply(this, of);
      },
    },
  });

const VARIANTS: Readonly<Record<string, Variant>> = {
  'no hold': { set: { router_queue_wait_ms: 'off' } },
  'hold in order of arrival': { set: { router_queue_policy: 'fcfs' } },
  'hold shortest first': { set: { router_queue_policy: 'wspt' } },
  'no eviction': { change: constants({ eviction: 0 }) },
  'no decoding': { change: constants({ decoding: 0 }) },
  'nobody else counts': { change: constants({ others: 0 }) },
  'wait risk 1': { change: constants({ waitRisk: 1 }) },
  'nothing learnt': { change: timing(FROZEN) },
  'engines twice as slow as believed at first': { faster: 0.5 },
  'engines twice as fast as believed at first': { faster: 2 },
  'the same for ever, slow': { faster: 0.5, change: timing(FROZEN) },
  'the same for ever, fast': { faster: 2, change: timing(FROZEN) },
  'prompts believed half as long, for ever': { change: wrongPrefill(0.5) },
  'prompts believed twice as long, for ever': { change: wrongPrefill(2) },
  'decode steps believed half as long, for ever': { change: wrongSteps(0.5) },
  'decode steps believed twice as long, for ever': { change: wrongSteps(2) },
};

interface Means {
  ttft: number;
  e2e: number;
  p99_ttft: number;
}

export function ablate(
  runs: Runs,
  cells: readonly string[],
  seed: number,
  say: (line: string) => void,
): Record<string, Means> {
  say('\nThe rule changed ÷ as it is, geometric means over the cells: TTFT, E2E, p99 TTFT');
  const result: Record<string, Means> = {};
  for (const [variant, what] of Object.entries(VARIANTS)) {
    const means = changed(runs, cells, seed, variant, what);
    result[variant] = means;
    const { ttft, e2e, p99_ttft } = means;
    say(`${variant.padEnd(46)} ${[ttft, e2e, p99_ttft].map((value) => value.toFixed(3)).join('  ')}`);
  }
  return result;
}

function changed(runs: Runs, cells: readonly string[], seed: number, variant: string, what: Variant): Means {
  const { set = {}, faster = 1, change } = what;
  const restore = change?.();
  try {
    const pairs = cells.map((cell): [Figures, Figures] => [
      runs.figures({
        cell,
        variant,
        policy: 'stator',
        seed,
        speedup: faster,
        set: faster === 1 ? set : { ...set, speedup_ratio: faster },
      }),
      runs.figures({ cell, variant: '', policy: 'stator', seed }),
    ]);
    const mean = (metric: 'ttft_ms' | 'e2e_ms' | 'p99_ttft_ms') => {
      const logs = pairs.map(([a, b]) => Math.log((faster * a[metric]) / b[metric]));
      return Number(Math.exp(logs.reduce((sum, value) => sum + value, 0) / logs.length).toFixed(4));
    };
    return { ttft: mean('ttft_ms'), e2e: mean('e2e_ms'), p99_ttft: mean('p99_ttft_ms') };
  } finally {
    restore?.();
  }
}
