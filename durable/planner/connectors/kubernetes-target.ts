/**
 * What the planner scales in Kubernetes: for each role an object that has the scale subresource, a Deployment or any custom
 * resource with one. Written `apps/v1/Deployment/NAME` (`v1/ReplicationController/NAME` for the core group) for workers that do
 * all, `prefill=…,decode=…` for pools.
 */

import type { KubernetesAnswer, KubernetesApi } from '../../runtime/kubernetes-api.ts';
import { PLANNED_ROLES, type PlannedRole } from '../fleet.ts';

export interface KubernetesTarget {
  role: PlannedRole;
  /** Empty: the core group. */
  group: string;
  version: string;
  kind: string;
  name: string;
}

const PATTERN = /^(?:([a-z0-9.-]+)\/)?(v[0-9a-z]+)\/([A-Z][A-Za-z0-9]*)\/([a-z0-9]([a-z0-9.-]*[a-z0-9])?)$/;

/** Null: this is no list of targets. */
export function parseTargets(setting: string): KubernetesTarget[] | null {
  const targets = setting.split(',').map((text) => {
    const [before, after] = text.split('=');
    const role = after === undefined ? 'worker' : before;
    const parts = PATTERN.exec(after ?? before!);
    if (parts === null || !PLANNED_ROLES.includes(role as PlannedRole)) return null;
    const [, group = '', version, kind, name] = parts;
    return { role: role as PlannedRole, group, version: version!, kind: kind!, name: name! };
  });
  if (targets.includes(null)) return null;
  const roles = (targets as KubernetesTarget[]).map(({ role }) => role);
  return new Set(roles).size === roles.length ? (targets as KubernetesTarget[]) : null;
}

export const targetText = ({ group, version, kind, name }: KubernetesTarget): string =>
  [group, version, kind, name].filter((part) => part !== '').join('/');

/** The path of a target's object, by what the server calls its kind in paths; or why there is none. */
export async function targetPath(
  api: KubernetesApi,
  target: KubernetesTarget,
  namespace: string,
): Promise<{ path: string } | Exclude<KubernetesAnswer, { kind: 'ok' }>> {
  const { group, kind, name, version } = target;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const answer = await api.call({ path: root });
  if (answer.kind !== 'ok') return answer;
  const { resources = [] } = answer.body as { resources?: { name: string; kind: string }[] };
  const plural = resources.find((resource) => resource.kind === kind && !resource.name.includes('/'))?.name;
  const isScalable = resources.some((resource) => resource.name === `${plural}/scale`);
  if (plural !== undefined && isScalable)
    return { path: `${root}/namespaces/${namespace}/${plural}/${name}` };
  const why = plural === undefined ? `${root} has no kind ${kind}` : `${kind} has no scale subresource`;
  return { kind: 'refused', status: 404, message: why };
}
