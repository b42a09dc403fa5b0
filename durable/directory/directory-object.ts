/**
 * The Directory object, one per deployment: which models exist, in which namespace, at which addresses. A shell around
 * `directory.ts`; `rpc.ts` has its interface. Nothing is stored: the Router objects repeat what they published.
 */

import { DurableObject } from '#platform';
import { wallClock } from '../runtime/clock.ts';
import { DirectoryCore } from './directory.ts';
import type { DirectoryRpc, DirectorySnapshot, ModelEntry } from './rpc.ts';

export class Directory extends DurableObject implements DirectoryRpc {
  readonly #core = new DirectoryCore(wallClock.nowMs());

  read(knownVersion: number): DirectorySnapshot | null {
    return this.#core.read(knownVersion, wallClock.nowMs());
  }

  publish(namespace: string, models: ModelEntry[]): number {
    return this.#core.publish(namespace, models, wallClock.nowMs());
  }
}
