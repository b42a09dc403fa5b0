// The plainest model of semantics §3.2 and §1.5: paths of tokens as strings, names in maps. It knows nothing of trees.

import type { StoreStatus } from '../../wasm/radix.ts';
import { storeStatus } from '../../wasm/radix.ts';

export interface Store {
  readonly parent: number | null;
  readonly names: readonly number[];
  readonly tokens: readonly number[];
}

const tiers = [0, 1, 2, 3];
export const keyOf = (slot: number, tier: number): number => slot * tiers.length + tier;

export class ModelIndex {
  /** slot and tier → external hash → path */
  readonly slots = new Map<number, Map<number, string>>();

  store(slot: number, { parent, names, tokens }: Store, tier = 0): StoreStatus {
    if (names.length === 0 || new Set(names).size < names.length) return storeStatus.invalid;
    if (parent !== null && names.includes(parent)) return storeStatus.invalid;
    const key = keyOf(slot, tier);
    const held = this.slots.get(key) ?? new Map<number, string>();
    let path = parent === null ? '' : this.parent(slot, tier, parent);
    if (path === undefined) return storeStatus.parentNotFound;
    this.slots.set(key, held);
    let changed = false;
    for (const [i, name] of names.entries()) {
      path += `/${tokens[i]}`;
      changed ||= held.get(name) !== path;
      held.set(name, path);
    }
    return changed ? storeStatus.stored : storeStatus.duplicate;
  }

  /** What a slot calls so: in the tier itself, or else in the first that has it. */
  private parent(slot: number, tier: number, name: number): string | undefined {
    const paths = [tier, ...tiers].map((one) => this.slots.get(keyOf(slot, one))?.get(name));
    return paths.find((path) => path !== undefined);
  }

  remove(slot: number, names: readonly number[], tier = 0): number {
    return names.filter((name) => this.slots.get(keyOf(slot, tier))?.delete(name) !== true).length;
  }

  clear(slot: number, tier?: number): void {
    for (const one of tier === undefined ? tiers : [tier]) this.slots.delete(keyOf(slot, one));
  }

  /** Blocks by slot and tier, `keyOf`. */
  find(query: readonly number[]): Map<number, number> {
    const found = new Map<number, number>();
    const paths = query.map((_, i) => `/${query.slice(0, i + 1).join('/')}`);
    for (const slot of new Set([...this.slots.keys()].map((key) => Math.floor(key / tiers.length)))) {
      let at = 0;
      for (const tier of tiers) {
        const held = new Set(this.slots.get(keyOf(slot, tier))?.values());
        const start = at;
        while (at < paths.length && held.has(paths[at]!)) at += 1;
        if (at > start) found.set(keyOf(slot, tier), at - start);
      }
    }
    return found;
  }

  slotBlocks(slot: number, tier = 0): number {
    return new Set(this.slots.get(keyOf(slot, tier))?.values()).size;
  }

  blocks(): number {
    return new Set([...this.slots.values()].flatMap((held) => [...held.values()])).size;
  }
}

interface Flight {
  readonly slot: number;
  readonly paths: readonly string[];
  grown: number;
}

export class ModelSequences {
  readonly flights = new Map<number, Flight>();

  private active(slot: number): Set<string> {
    const flights = [...this.flights.values()].filter((flight) => flight.slot === slot);
    return new Set(flights.flatMap((flight) => flight.paths));
  }

  add(request: number, slot: number, locals: readonly number[], salt: number): number | undefined {
    if (this.flights.has(request)) return undefined;
    const before = this.active(slot);
    const paths = locals.map((_, i) => `${salt}:${locals.slice(0, i + 1).join('/')}`);
    this.flights.set(request, { slot, paths, grown: 0 });
    return paths.filter((path) => !before.has(path)).length;
  }

  grow(request: number, blocks: number): boolean {
    const flight = this.flights.get(request);
    if (flight === undefined) return false;
    flight.grown += blocks;
    return true;
  }

  potential(locals: readonly number[]): Map<number, number> {
    const depths = new Map<number, number>();
    for (const slot of new Set([...this.flights.values()].map((flight) => flight.slot))) {
      const active = this.active(slot);
      const first = locals.findIndex((_, i) => !active.has(`0:${locals.slice(0, i + 1).join('/')}`));
      const depth = first === -1 ? locals.length : first;
      if (depth > 0) depths.set(slot, depth);
    }
    return depths;
  }

  activeBlocks(slot: number): number {
    const flights = [...this.flights.values()].filter((flight) => flight.slot === slot);
    return this.active(slot).size + flights.reduce((sum, flight) => sum + flight.grown, 0);
  }

  dropSlot(slot: number): number {
    const ids = [...this.flights].filter(([, flight]) => flight.slot === slot).map(([id]) => id);
    for (const id of ids) this.flights.delete(id);
    return ids.length;
  }
}
