/**
 * The Directory object, one per deployment: which models exist, in which namespace, at which addresses. A shell around
 * `directory.ts`; `rpc.ts` has its interface. Nothing is stored: the Router objects repeat what they published.
 */

import { DurableObject, hostOf } from '#platform';
import type { Host } from '../platform/host.ts';
import { DirectoryCore } from './directory.ts';
import type { DirectoryRpc, DirectorySnapshot, ModelEntry } from './rpc.ts';

export class Directory extends DurableObject implements DirectoryRpc {
  readonly #host: Host;
  readonly #core: DirectoryCore;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#host = hostOf(ctx);
    this.#core = new DirectoryCore(this.#host.nowMs());
  }

  read(knownVersion: number): DirectorySnapshot | null {
    return this.#core.read(knownVersion, this.#host.nowMs());
  }

  publish(namespace: string, models: ModelEntry[]): number {
    return this.#core.publish(namespace, models, this.#host.nowMs());
  }
}
