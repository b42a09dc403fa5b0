/**
 * When a worker computes a prompt itself although there are prefill workers (semantics §6, conditional disaggregation). Pure:
 * numbers in, a reason out. `eff` is what of the prompt the worker would have to compute.
 *
 *   isl_bounding   eff < isl tokens and eff / prompt < isl ratio: handing over would cost more than computing
 *   prefill_load   the chosen prefill worker is busy
 *   isl_or_load    either
 *   prefill_queue  Dynamo 0.x: not more than so many tokens to compute, or as many prompts under way as may be
 *
 * Above the decode threshold nothing is computed there in any of the first three.
 */

import type { DisaggSettings, LocalReason } from '../rpc.ts';

export interface Circumstances {
  promptTokens: number;
  /** Prompt tokens that the worker would find cached. */
  cachedTokens: number;
  /** Blocks in use on the worker with this request, as a share of all it has; 0 where it never said. */
  decodeLoad: number;
  /** Prompts under way on all prefill workers; where they take them from a queue, those that wait in it. */
  prefillQueueSize: number;
}

/** By the prompt and the decode worker alone; null: hand it over, unless the prefill worker is busy. */
export function staysByLength(settings: DisaggSettings, request: Circumstances): LocalReason | null {
  const { promptTokens } = request;
  const effective = promptTokens - Math.min(request.cachedTokens, promptTokens);
  switch (settings.policy) {
    case 'never':
      return 'never';
    case 'always':
    case 'prefill_load':
      return null;
    case 'isl_bounding':
    case 'isl_or_load':
      if (isFull(settings, request)) return null;
      return effective < settings.islTokens && effective / Math.max(promptTokens, 1) < settings.islRatio
        ? 'isl'
        : null;
    case 'prefill_queue':
      if (effective <= settings.maxLocalPrefillLength) return 'isl';
      return request.prefillQueueSize < settings.maxPrefillQueueSize ? null : 'load';
  }
}

/**
 * `prefillLoad`: prompt tokens still to compute on the chosen prefill worker, as a multiple of its batch; where workers take them
 * from a queue, on all of them, as a multiple of all their batches.
 */
export function staysByLoad(
  settings: DisaggSettings,
  request: Circumstances,
  prefillLoad: number,
): LocalReason | null {
  if (settings.policy !== 'prefill_load' && settings.policy !== 'isl_or_load') return null;
  const { prefillBusyThreshold } = settings;
  if (prefillBusyThreshold === null || isFull(settings, request)) return null;
  return prefillLoad > prefillBusyThreshold ? 'load' : null;
}

const isFull = ({ decodeBusyThreshold }: DisaggSettings, { decodeLoad }: Circumstances): boolean =>
  decodeBusyThreshold !== null && decodeLoad > decodeBusyThreshold;
