/**
 * Which endpoints are to be asked whether they live, and which have shown that they do not. Pure: time is an argument.
 *
 *     live   somebody was answered lately, or the canary was
 *     sick   the canary went unanswered `LIMITS.canaryFailures` times in a row; asked again every `canaryRetryMs`
 */

import { LIMITS } from '../../durable/runtime/limits.ts';

interface Watched {
  answeredMs: number;
  askedMs: number;
  /** A canary is under way. */
  asking: boolean;
  failures: number;
}

export class CanaryWatch {
  readonly #endpoints = new Map<string, Watched>();
  readonly #turned: (endpoint: string, health: 'live' | 'sick') => void;

  /** `turned` hears of every change. */
  constructor(
    endpoints: Iterable<string>,
    nowMs: number,
    turned: (endpoint: string, health: 'live' | 'sick') => void,
  ) {
    for (const name of endpoints) {
      this.#endpoints.set(name, { answeredMs: nowMs, askedMs: nowMs, asking: false, failures: 0 });
    }
    this.#turned = turned;
  }

  /** Those to ask now; each answer or failure is told by `answered` or `failed`. */
  due(nowMs: number): string[] {
    const due: string[] = [];
    for (const [name, watched] of this.#endpoints) {
      const restMs = watched.failures > 0 ? LIMITS.canaryRetryMs : LIMITS.canaryIdleMs;
      if (watched.asking || nowMs - Math.max(watched.answeredMs, watched.askedMs) < restMs) continue;
      watched.asking = true;
      watched.askedMs = nowMs;
      due.push(name);
    }
    return due;
  }

  /** A canary was, or anybody else. */
  answered(endpoint: string, nowMs: number): void {
    const watched = this.#endpoints.get(endpoint);
    if (watched === undefined) return;
    const wasSick = isSick(watched);
    watched.asking = false;
    watched.answeredMs = nowMs;
    watched.failures = 0;
    if (wasSick) this.#turned(endpoint, 'live');
  }

  /** The canary was not answered, or wrongly. */
  failed(endpoint: string): void {
    const watched = this.#endpoints.get(endpoint);
    if (watched === undefined || !watched.asking) return;
    watched.asking = false;
    watched.failures++;
    if (watched.failures === LIMITS.canaryFailures) this.#turned(endpoint, 'sick');
  }
}

const isSick = ({ failures }: Watched) => failures >= LIMITS.canaryFailures;
