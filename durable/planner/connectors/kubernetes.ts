/**
 * Connector `kubernetes`: an order becomes the replicas of an object with the scale subresource, one for each role
 * (`--kubernetes-target`). Kubernetes does the rest.
 *
 * What there is, is read of Kubernetes at every look: replicas are what was asked for, and a worker is ready when its Pod is and the
 * Router knows it. The order itself is kept in the outbox, so that it outlives a restart. It is done when every Pod is ready and
 * none is leaving, and has failed when Kubernetes refuses it, does not answer, gives it up (a quota, a deadline), or when somebody
 * else changed the replicas; what was applied of it stays, and the planner decides from what there is then.
 */

import { StatorError } from '../../runtime/errors.ts';
import { type KubernetesAnswer, KubernetesApi, kubernetesProblem } from '../../runtime/kubernetes-api.ts';
import { type Fleet, type PlannedRole, type RoleFleet, rolesOf } from '../fleet.ts';
import type { Connector, ConnectorParts, Order, Progress } from './connector.ts';
import { accessFrom } from './kubernetes-access.ts';
import {
  countPods,
  gaveUp,
  type Outcome,
  type PodCounts,
  readScale,
  writeReplicas,
} from './kubernetes-scale.ts';
import { type KubernetesTarget, parseTargets, targetPath, targetText } from './kubernetes-target.ts';
import type { Outbox } from './outbox.ts';

type Parts = Pick<ConnectorParts, 'env' | 'host' | 'outbox' | 'settings'>;

/** One target as it was found. */
interface Found {
  path: string;
  replicas: number;
  pods: PodCounts;
}

const EXECUTOR = 'kubernetes';
const refuse = (why: string) => new StatorError('worker_unavailable', why);

export function kubernetesConnector({ env, host, outbox, settings }: Parts): Connector {
  const access = accessFrom(env, (delayMs, task) => host.after(delayMs, task));
  const targets = parseTargets(settings.kubernetesTarget) ?? [];
  if (access === null) return unreached('the platform was not started with a way to Kubernetes (stator up)');
  const given = settings.kubernetesNamespace;
  const namespace = async () => given || (await access.namespace()) || 'default';
  return new KubernetesConnector(new KubernetesApi(access), { outbox, targets, namespace });
}

function unreached(why: string): Connector {
  const fail = async () => {
    throw refuse(why);
  };
  return { fleet: fail, order: fail, progress: fail };
}

class KubernetesConnector implements Connector {
  readonly #api: KubernetesApi;
  readonly #outbox: Outbox;
  readonly #targets: readonly KubernetesTarget[];
  readonly #namespaceOf: () => Promise<string>;
  #namespace = '';
  readonly #paths = new Map<PlannedRole, string>();
  /** The order that this life of the object has applied. */
  #applied = 0;

  constructor(
    api: KubernetesApi,
    parts: { outbox: Outbox; targets: readonly KubernetesTarget[]; namespace: () => Promise<string> },
  ) {
    this.#api = api;
    this.#outbox = parts.outbox;
    this.#targets = parts.targets;
    this.#namespaceOf = parts.namespace;
  }

  async fleet(registered: Fleet): Promise<Fleet> {
    const fleet: Partial<Record<PlannedRole, RoleFleet>> = { ...registered };
    const found = await Promise.all(this.#targets.map((target) => this.#find(target)));
    for (const [at, target] of this.#targets.entries()) {
      const outcome = found[at]!;
      if (outcome.kind !== 'ok') throw refuse(this.#problem(target, outcome));
      fleet[target.role] = countOf(outcome.value, registered[target.role]);
    }
    return fleet;
  }

  async order(order: Order): Promise<void> {
    const newest = this.#outbox.newest;
    if (newest !== null && order.id <= newest.order.id) return;
    this.#outbox.put(order);
    await this.#apply(order);
  }

  async progress(): Promise<Progress> {
    const { newest } = this.#outbox;
    if (newest?.outcome !== 'pending') return this.#outbox.progress;
    const { order } = newest;
    // A restart came between taking it over and doing it, perhaps.
    if (this.#applied < order.id && !(await this.#apply(order))) return this.#outbox.progress;
    const roles = rolesOf(order.counts);
    const found = await Promise.all(roles.map((role) => this.#stateOf(role, order.counts[role]!)));
    const wrong = found.flatMap((state) => (typeof state === 'string' ? [state] : []));
    if (wrong.length > 0) return this.#end(order, wrong.join('; '));
    return found.every((isDone) => isDone === true) ? this.#end(order, null) : { kind: 'pending' };
  }

  /** False: not all of it could be done, and the outbox knows why. */
  async #apply({ id, counts }: Order): Promise<boolean> {
    const said = await Promise.all(
      rolesOf(counts).map(async (role) => {
        const target = this.#targetOf(role);
        if (target === null) return { ok: false, text: noTarget(role) };
        const path = await this.#pathOf(target);
        const written = path.kind === 'ok' ? await writeReplicas(this.#api, path.value, counts[role]!) : path;
        if (written.kind === 'ok')
          return { ok: true, text: `${targetText(target)} is to have ${counts[role]}` };
        return { ok: false, text: this.#problem(target, written) };
      }),
    );
    this.#applied = Math.max(this.#applied, id);
    if (said.every(({ ok }) => ok)) return true;
    this.#end({ id, counts }, said.map(({ text }) => text).join('; '));
    return false;
  }

  /** True: as ordered. A text: it will not become so, and why. */
  async #stateOf(role: PlannedRole, wanted: number): Promise<boolean | string> {
    const target = this.#targetOf(role);
    if (target === null) return noTarget(role);
    const found = await this.#find(target);
    if (found.kind === 'unreachable') return false;
    if (found.kind === 'refused') return this.#problem(target, found);
    const { path, pods, replicas } = found.value;
    const name = targetText(target);
    if (replicas !== wanted) {
      return `${name} has ${replicas} replicas and not ${wanted}: somebody else scales it, too (kubectl, an autoscaler, another planner)`;
    }
    if (pods.ready === wanted && pods.unready + pods.leaving === 0) return true;
    const why = await gaveUp(this.#api, path);
    return why === null ? false : `${name}: ${why}`;
  }

  #end(order: Order, failed: string | null): Progress {
    // Whoever polls the outbox of this namespace has no orders to execute, and might hold it.
    this.#outbox.complete(order.id, { failed, executor: EXECUTOR });
    return failed === null ? { kind: 'done' } : { kind: 'failed', why: failed };
  }

  async #find(target: KubernetesTarget): Promise<Outcome<Found>> {
    const path = await this.#pathOf(target);
    if (path.kind !== 'ok') return path;
    const scale = await readScale(this.#api, path.value);
    if (scale.kind !== 'ok') return scale;
    const pods = await countPods(this.#api, {
      path: path.value,
      namespace: this.#namespace,
      scale: scale.value,
    });
    if (pods.kind !== 'ok') return pods;
    return {
      kind: 'ok',
      value: { path: path.value, replicas: scale.value.spec.replicas, pods: pods.value },
    };
  }

  /** Asked of the server once: a kind keeps its name. */
  async #pathOf(target: KubernetesTarget): Promise<Outcome<string>> {
    const known = this.#paths.get(target.role);
    if (known !== undefined) return { kind: 'ok', value: known };
    this.#namespace = await this.#namespaceOf();
    const found = await targetPath(this.#api, target, this.#namespace);
    if ('path' in found) {
      this.#paths.set(target.role, found.path);
      return { kind: 'ok', value: found.path };
    }
    return found;
  }

  #targetOf(role: PlannedRole): KubernetesTarget | null {
    return this.#targets.find((target) => target.role === role) ?? null;
  }

  #problem(target: KubernetesTarget, answer: Exclude<KubernetesAnswer, { kind: 'ok' }>): string {
    return kubernetesProblem(`${targetText(target)} in namespace ${this.#namespace}`, answer);
  }
}

const noTarget = (role: PlannedRole) => `--kubernetes-target names nothing to scale for role ${role}`;

/** What is beyond the replicas is about to leave; what is missing is about to come. */
function countOf({ pods, replicas }: Found, registered: RoleFleet | undefined): RoleFleet {
  const ready = Math.min(pods.ready, registered?.ready ?? 0, replicas);
  const surplus = Math.max(0, pods.ready + pods.unready - replicas);
  const draining = Math.max(pods.leaving + surplus, registered?.draining ?? 0);
  return { ready, starting: replicas - ready, draining };
}
