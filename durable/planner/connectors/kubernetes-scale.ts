/**
 * The scale subresource of one target, and which of its Pods are ready. The server's answers are taken for what they are: a
 * stranger's controller may leave out what Kubernetes' own always say.
 */

import * as z from 'zod';
import type { KubernetesAnswer, KubernetesApi } from '../../runtime/kubernetes-api.ts';
import { LIMITS } from '../../runtime/limits.ts';

const countSchema = z.number().int().min(0);
const scaleSchema = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  spec: z.looseObject({ replicas: countSchema.default(0) }).default({ replicas: 0 }),
  status: z
    .looseObject({ replicas: countSchema.default(0), selector: z.string().default('') })
    .default({ replicas: 0, selector: '' }),
});
export type Scale = z.output<typeof scaleSchema>;

const podsSchema = z.looseObject({
  metadata: z.looseObject({ continue: z.string().default('') }).default({ continue: '' }),
  items: z.array(
    z.looseObject({
      metadata: z.looseObject({ deletionTimestamp: z.string().optional() }),
      status: z
        .looseObject({
          phase: z.string().default(''),
          conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]),
        })
        .default({ phase: '', conditions: [] }),
    }),
  ),
});

/** Pods of a target. Those that have ended count nowhere. */
export interface PodCounts {
  ready: number;
  /** There, and neither ready nor leaving. */
  unready: number;
  leaving: number;
}

type Refusal = Exclude<KubernetesAnswer, { kind: 'ok' }>;
export type Outcome<T> = { kind: 'ok'; value: T } | Refusal;

const strange = (what: string): Refusal => ({
  kind: 'refused',
  status: 422,
  message: `the server's ${what} is not what it should be`,
});

export async function readScale(api: KubernetesApi, path: string): Promise<Outcome<Scale>> {
  const answer = await api.call({ path: `${path}/scale` });
  if (answer.kind !== 'ok') return answer;
  const scale = scaleSchema.safeParse(answer.body);
  return scale.success ? { kind: 'ok', value: scale.data } : strange('Scale');
}

/**
 * Sets the replicas, unless they are so already. Only of the Scale that was read, so that nobody's change is lost unseen: who was
 * faster is read, and overruled, a few times.
 */
export async function writeReplicas(
  api: KubernetesApi,
  path: string,
  replicas: number,
): Promise<Outcome<null>> {
  for (let attempt = 1; ; attempt++) {
    const read = await readScale(api, path);
    if (read.kind !== 'ok') return read;
    if (read.value.spec.replicas === replicas) return { kind: 'ok', value: null };
    const body = { ...read.value, spec: { ...read.value.spec, replicas } };
    const written = await api.call({ method: 'PUT', path: `${path}/scale`, body });
    if (written.kind === 'ok') return { kind: 'ok', value: null };
    // Without an answer it may have been done; the next look at it says so.
    const isWorthwhile = written.kind === 'unreachable' || written.status === 409 || written.status >= 500;
    if (!isWorthwhile || attempt === LIMITS.kubernetesConflicts) return written;
  }
}

/** By the selector of the Scale; without one by what the target says of itself (`status.readyReplicas`), else all count as ready. */
export async function countPods(
  api: KubernetesApi,
  { path, namespace, scale }: { path: string; namespace: string; scale: Scale },
): Promise<Outcome<PodCounts>> {
  const { replicas, selector } = scale.status;
  if (selector !== '') return podsOf(api, namespace, selector);
  const answer = await api.call({ path });
  if (answer.kind !== 'ok') return answer;
  const said = (answer.body as { status?: { readyReplicas?: unknown } }).status?.readyReplicas;
  const ready = Math.min(countSchema.catch(replicas).parse(said), replicas);
  return { kind: 'ok', value: { ready, unready: replicas - ready, leaving: 0 } };
}

async function podsOf(api: KubernetesApi, namespace: string, selector: string): Promise<Outcome<PodCounts>> {
  const counts: PodCounts = { ready: 0, unready: 0, leaving: 0 };
  let from = '';
  for (let page = 0; page < LIMITS.kubernetesPages; page++) {
    const query = new URLSearchParams({ labelSelector: selector, limit: String(LIMITS.kubernetesPageItems) });
    if (from !== '') query.set('continue', from);
    const answer = await api.call({ path: `/api/v1/namespaces/${namespace}/pods?${query}` });
    if (answer.kind !== 'ok') return answer;
    const pods = podsSchema.safeParse(answer.body);
    if (!pods.success) return strange('list of Pods');
    for (const { metadata, status } of pods.data.items) {
      if (status.phase === 'Succeeded' || status.phase === 'Failed') continue;
      if (metadata.deletionTimestamp !== undefined) counts.leaving += 1;
      else if (status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True'))
        counts.ready += 1;
      else counts.unready += 1;
    }
    from = pods.data.metadata.continue;
    if (from === '') return { kind: 'ok', value: counts };
  }
  return strange('list of Pods has too many pages');
}

const conditionsSchema = z.looseObject({
  metadata: z.looseObject({ generation: z.number() }),
  status: z.looseObject({
    observedGeneration: z.number().optional(),
    conditions: z.array(
      z.looseObject({
        type: z.string(),
        status: z.string(),
        observedGeneration: z.number().optional(),
        reason: z.string().default(''),
        message: z.string().default(''),
      }),
    ),
  }),
});

/**
 * Why a target's controller will not come to its replicas, as Deployments and ReplicaSets say it; null: nothing says so. What was
 * said of an earlier generation is of an earlier order.
 */
export async function gaveUp(api: KubernetesApi, path: string): Promise<string | null> {
  const answer = await api.call({ path });
  const read = conditionsSchema.safeParse(answer.kind === 'ok' ? answer.body : null);
  if (!read.success) return null;
  const { metadata, status: state } = read.data;
  const found = state.conditions.find(
    ({ observedGeneration = state.observedGeneration, reason, status, type }) =>
      observedGeneration === metadata.generation &&
      ((type === 'ReplicaFailure' && status === 'True') ||
        (type === 'Progressing' && status === 'False' && reason === 'ProgressDeadlineExceeded')),
  );
  return found === undefined ? null : `${found.reason}: ${found.message}`;
}
