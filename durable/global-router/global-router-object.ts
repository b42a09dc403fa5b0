/**
 * The GlobalRouter object, one per deployment: which pools there are, and what functions counted of them. `rpc.ts` has its
 * interface. Nothing is stored: a start begins with the setting `global_router`, and a document that an operator put in its
 * place lives as long as the object.
 */

import { DurableObject, hostOf } from '#platform';
import { type Settings, settingsFromEnv } from '../runtime/config.ts';
import { toStatorError } from '../runtime/errors.ts';
import { configuredPools, type DefaultTargets } from './configured-pools.ts';
import { PoolBook } from './pool-book.ts';
import type { GlobalRouterConfig, GlobalRouterRpc, GlobalRouterSnapshot, PoolCount } from './rpc.ts';

export class GlobalRouter extends DurableObject implements GlobalRouterRpc {
  readonly #book = new PoolBook();
  readonly #prefix: string;
  readonly #targets: DefaultTargets;
  #document: unknown = null;
  #config: GlobalRouterConfig | null = null;
  /** From the clock, so that a version is never used for two configurations, not even after a restart. */
  #version: number;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    const settings = settingsFromEnv(env as Record<string, unknown>);
    this.#prefix = settings.metricsPrefix;
    this.#targets = defaultTargets(settings);
    this.#version = hostOf(ctx).nowMs();
    if (settings.globalRouter !== '') this.#take(JSON.parse(settings.globalRouter));
  }

  read(knownVersion: number, counts: PoolCount[]): GlobalRouterSnapshot | null {
    for (const count of counts) this.#book.count(count);
    return knownVersion === this.#version ? null : { version: this.#version, config: this.#config };
  }

  configure(document: unknown): { code: string; message: string; param: string | null } | null {
    try {
      this.#take(document);
      return null;
    } catch (thrown) {
      const { code, message, param } = toStatorError(thrown);
      return { code, message, param };
    }
  }

  info(): ReturnType<GlobalRouterRpc['info']> {
    return { document: this.#document, config: this.#config, totals: this.#book.totals(this.#config) };
  }

  metrics(workers: Record<string, number>): string {
    return this.#book.metrics(this.#prefix, this.#config, workers);
  }

  #take(document: unknown): void {
    this.#config = document === null ? null : configuredPools(document, this.#targets);
    this.#document = document;
    this.#version++;
  }
}

function defaultTargets({ defaultTtftTarget, defaultItlTarget }: Settings): DefaultTargets {
  const given = (target: number | 'off') => (target === 'off' ? null : target);
  return { ttftMs: given(defaultTtftTarget), itlMs: given(defaultItlTarget) };
}
