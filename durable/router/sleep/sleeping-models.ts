/**
 * Models that the planner may put to sleep: their cards stay when their last worker leaves, so that the Directory goes on
 * listing them and a request can wake them. A model sleeps while no worker takes requests for it, for whatever reason.
 *
 * Memory only: the Directory keeps what it was told on its disk, and functions say of a request that its model sleeps.
 */

import type { ModelEntry } from '../../directory/rpc.ts';
import { LIMITS } from '../../runtime/limits.ts';
import type { CardEntry, Registration } from '../registration.ts';

interface Kept {
  card: CardEntry;
  deterministic: boolean;
}

export class SleepingModels {
  /** By name, the one that came last at the end. */
  readonly #kept = new Map<string, Kept>();

  /** Of every worker that joins. A name that another model had is this one's now. */
  remember({ card, deterministic }: Registration): void {
    const names = new Set([card.name, ...card.aliases]);
    for (const [name, { card: other }] of this.#kept) {
      if ([other.name, ...other.aliases].some((taken) => names.has(taken))) this.#kept.delete(name);
    }
    this.#kept.set(card.name, { card, deterministic });
    if (this.#kept.size > LIMITS.modelsPerNamespace) this.#kept.delete(this.#kept.keys().next().value!);
  }

  /** By name or alias. */
  card(name: string): CardEntry | null {
    const found = this.#kept.get(name);
    if (found !== undefined) return found.card;
    for (const { card } of this.#kept.values()) if (card.aliases.includes(name)) return card;
    return null;
  }

  /** The entries of a namespace with those that sleep: a model without anybody who answers requests does. */
  entries(namespace: string, present: readonly ModelEntry[]): ModelEntry[] {
    const awake = present.filter(({ prefillOnly }) => !prefillOnly);
    const names = new Set(awake.map(({ name }) => name));
    const asleep = [...this.#kept.values()].filter(({ card }) => !names.has(card.name));
    const others = present.filter((entry) => entry.prefillOnly && !this.#kept.has(entry.name));
    return [
      ...awake.map((entry): ModelEntry => ({ ...entry, maySleep: true })),
      ...others,
      ...asleep.map(({ card, deterministic }): ModelEntry => sleeping({ ...card, namespace, deterministic })),
    ];
  }
}

/** The entry of a model of which there is no worker. */
export function sleeping(entry: Omit<ModelEntry, 'addresses' | 'instances'>): ModelEntry {
  const { prefillOnly: _, ...rest } = entry;
  return { ...rest, maySleep: true, sleeping: true, addresses: [], instances: [] };
}
