/**
 * The GlobalPlanner object, one per deployment: a shell around `grants.ts`. `rpc.ts` has its interface. What it granted is on
 * its disk, one row, written when it changed: after a restart nobody is promised what somebody else still has.
 */

import { DurableObject, hostOf } from '#platform';
import type { Host } from '../platform/host.ts';
import { settingsFromEnv } from '../runtime/config.ts';
import { LIMITS } from '../runtime/limits.ts';
import { claimSchema } from './claim-schema.ts';
import { Grants, type Holding } from './grants.ts';
import { namedNumbers } from './named-numbers.ts';
import type { Claim, GlobalPlannerRpc, GlobalPlannerStatus, Grant, Refused } from './rpc.ts';

export class GlobalPlanner extends DurableObject implements GlobalPlannerRpc {
  readonly #host: Host;
  readonly #sql: SqlStorage;
  readonly #grants: Grants;
  /** Null: everybody. */
  readonly #managed: ReadonlySet<string> | null;
  #written = '';

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#host = hostOf(ctx);
    this.#sql = ctx.storage.sql;
    this.#sql.exec('CREATE TABLE IF NOT EXISTS grants (id INTEGER PRIMARY KEY, text TEXT NOT NULL)');
    const settings = settingsFromEnv(env as Record<string, unknown>);
    const { maxTotalGpus, managedNamespaces } = settings;
    const [priorities, weights] = [settings.globalPlannerPriorities, settings.globalPlannerWeights].map(
      namedNumbers,
    );
    this.#managed = managedNamespaces === '' ? null : new Set(managedNamespaces.split(','));
    this.#grants = new Grants(
      {
        budgetGpus: maxTotalGpus === 'off' ? null : maxTotalGpus,
        priorityOf: (namespace) => priorities!.get(namespace) ?? 0,
        weightOf: (namespace) => weights!.get(namespace) ?? 1,
      },
      this.#read(),
    );
  }

  ask(given: Claim): Grant | Refused {
    const parsed = claimSchema.safeParse(given);
    if (!parsed.success) {
      const { path, message } = parsed.error.issues[0]!;
      return { refused: `${path.join('.')}: ${message}` };
    }
    const claim = parsed.data;
    if (this.#managed !== null && !this.#managed.has(claim.namespace)) {
      return { refused: `${claim.namespace} is none of the managed namespaces` };
    }
    const { holdings } = this.#grants;
    const isNew = holdings.every((holding) => holding.claim.namespace !== claim.namespace);
    if (isNew && holdings.length >= LIMITS.namespaces) {
      return { refused: `${LIMITS.namespaces} namespaces have grants, the limit` };
    }
    const grant = this.#grants.ask(claim, this.#host.nowMs());
    this.#write();
    return grant;
  }

  status(): GlobalPlannerStatus {
    this.#grants.expire(this.#host.nowMs());
    return this.#grants.status();
  }

  #read(): Holding[] {
    const row = this.#sql.exec<{ text: string }>('SELECT text FROM grants WHERE id = 1').toArray()[0];
    const holdings = row === undefined ? [] : (JSON.parse(row.text) as Holding[]);
    const nowMs = this.#host.nowMs();
    return holdings.map((holding) => ({ ...holding, leaseEndsMs: nowMs + holding.claim.leaseMs }));
  }

  /** Leases that were only renewed are not worth a write: after a restart each begins anew. */
  #write(): void {
    const { holdings } = this.#grants;
    const essence = JSON.stringify(holdings.map(({ claim, granted }) => [claim.namespace, granted]));
    if (essence === this.#written) return;
    this.#written = essence;
    this.#sql.exec('INSERT OR REPLACE INTO grants (id, text) VALUES (1, ?)', JSON.stringify(holdings));
  }
}
