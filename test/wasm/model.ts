// The plainest model of semantics §3.2 and §1.5: paths of tokens as strings, names in maps. It knows nothing of trees.

import type { StoreStatus } from '../../wasm/radix.ts';
import { storeStatus } from '../../wasm/radix.ts';

export interface Store {
  readonly parent: number | null;
  readonly names: readonly number[];
  readonly tokens: readonly number[];
}

export class ModelIndex {
  /** slot → external hash → path */
  readonly slots = new Map<number, Map<number, string>>();

  store(slot: number, { parent, names, tokens }: Store): StoreStatus {
    if (names.length === 0 || new Set(names).size < names.length) return storeStatus.invalid;
    if (parent !== null && names.includes(parent)) return storeStatus.invalid;
    const held = this.slots.get(slot) ?? new Map<number, string>();
    let path = parent === null ? '' : held.get(parent);
    if (path === undefined) return storeStatus.parentNotFound;
    this.slots.set(slot, held);
    let changed = false;
    for (const [i, name] of names.entries()) {
      path += `/${tokens[i]}`;
      changed ||= held.get(name) !== path;
      held.set(name, path);
    }
    return changed ? storeStatus.stored : storeStatus.duplicate;
  }

  remove(slot: number, names: readonly number[]): number {
    return names.filter((name) => this.slots.get(slot)?.delete(name) !== true).length;
  }

  clear(slot: number): void {
    this.slots.delete(slot);
  }

  find(query: readonly number[]): Map<number, number> {
    const depths = new Map<number, number>();
    for (const [slot, held] of this.slots) {
      const paths = new Set(held.values());
      let path = '';
      let depth = 0;
      for (const token of query) {
        path += `/${token}`;
        if (!paths.has(path)) break;
        depth += 1;
      }
      if (depth > 0) depths.set(slot, depth);
    }
    return depths;
  }

  slotBlocks(slot: number): number {
    return new Set(this.slots.get(slot)?.values()).size;
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
