/**
 * A copy of the objects of one kind in a namespace, kept by list and watch: a list, then changes from its version on. A watch that ends
 * goes on from the last version it was told (bookmarks tell it where nothing changes); where the server no longer has that version
 * (410), or refuses for another reason, the whole list is read again. While the server is away the copy stays as it is.
 */

import type * as z from 'zod';
import { StatorError } from '../../../../durable/runtime/errors.ts';
import { type KubernetesApi, kubernetesProblem } from '../../../../durable/runtime/kubernetes-api.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import { lines } from './lines.ts';

export interface Named {
  metadata: { name: string; resourceVersion: string };
}

export interface ReflectorParts<T extends Named> {
  api: KubernetesApi;
  /** Of the collection. */
  path: string;
  labelSelector: string;
  schema: z.ZodType<T>;
  random: () => number;
  pause(ms: number): Promise<void>;
  /** The copy has changed. */
  changed(): void;
  /** The server does not answer, and why; null: it answers. */
  away(problem: string | null): void;
}

export class Reflector<T extends Named> {
  readonly objects = new Map<string, T>();
  /** The copy is whole. */
  synced = false;
  readonly #parts: ReflectorParts<T>;
  #version: string | null = null;

  constructor(parts: ReflectorParts<T>) {
    this.#parts = parts;
  }

  /** Until `closed`. */
  async run(closed: AbortSignal): Promise<void> {
    while (!closed.aborted) {
      let ended = false;
      try {
        if (this.#version === null) await this.#list();
        await this.#watch(closed);
        ended = true;
      } catch (thrown) {
        if (!closed.aborted && !(thrown instanceof VersionGone)) this.#parts.away((thrown as Error).message);
      }
      // A server that ends watches at once must not be asked without pause, either.
      const waitMs = ended ? LIMITS.kubernetesPauseMs : LIMITS.kubernetesRelistMs;
      if (!closed.aborted) await this.#parts.pause(waitMs * (0.5 + this.#parts.random()));
    }
  }

  async #list(): Promise<void> {
    const { items, version } = await listAll(this.#parts);
    this.#parts.away(null);
    this.objects.clear();
    for (const item of items) this.objects.set(item.metadata.name, item);
    this.#version = version;
    this.synced = true;
    this.#parts.changed();
  }

  async #watch(closed: AbortSignal): Promise<void> {
    const { api, labelSelector, path, random } = this.#parts;
    const seconds = Math.round(LIMITS.kubernetesWatchS * (1 + random()));
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#version!,
      timeoutSeconds: String(seconds),
    });
    if (labelSelector !== '') query.set('labelSelector', labelSelector);
    // The server ends it before that; a line that broke unseen ends here.
    const late = AbortSignal.timeout(1_000 * (seconds + LIMITS.kubernetesWatchGraceS));
    const answer = await api.open(`${path}?${query}`, AbortSignal.any([closed, late]));
    if ('kind' in answer) {
      if (answer.kind === 'refused') this.#version = null;
      throw new Error(kubernetesProblem(path, answer as Exclude<typeof answer, { kind: 'ok' }>));
    }
    this.#parts.away(null);
    for await (const line of lines(answer.body!, LIMITS.kubernetesAnswerBytes)) this.#event(JSON.parse(line));
  }

  #event({ object, type }: { type: string; object: unknown }): void {
    if (type === 'ERROR') {
      this.#version = null;
      throw new VersionGone();
    }
    const named = object as Named;
    this.#version = named.metadata.resourceVersion;
    if (type === 'BOOKMARK') return;
    const read = this.#parts.schema.safeParse(object);
    if (type === 'DELETED' || !read.success) this.objects.delete(named.metadata.name);
    else this.objects.set(named.metadata.name, read.data);
    this.#parts.changed();
  }
}

class VersionGone extends Error {}

type ListParts<T extends Named> = Pick<ReflectorParts<T>, 'api' | 'labelSelector' | 'path' | 'schema'>;

/** Throws StatorError `worker_unavailable`. */
export async function listAll<T extends Named>(
  parts: ListParts<T>,
): Promise<{ items: T[]; version: string }> {
  const { api, labelSelector, path, schema } = parts;
  const items: T[] = [];
  let from = '';
  for (let page = 0; page < LIMITS.kubernetesPages; page++) {
    const query = new URLSearchParams({ limit: String(LIMITS.kubernetesPageItems) });
    if (labelSelector !== '') query.set('labelSelector', labelSelector);
    if (from !== '') query.set('continue', from);
    const answer = await api.call({ path: `${path}?${query}` });
    if (answer.kind !== 'ok')
      throw new StatorError('worker_unavailable', `discovery: ${kubernetesProblem(path, answer)}`);
    const body = answer.body as {
      items?: unknown[];
      metadata?: { continue?: string; resourceVersion?: string };
    };
    for (const item of body.items ?? []) {
      const read = schema.safeParse(item);
      if (read.success) items.push(read.data);
    }
    from = body.metadata?.continue ?? '';
    if (from === '') return { items, version: body.metadata?.resourceVersion ?? '0' };
  }
  throw new StatorError('worker_unavailable', `discovery: ${path} has too many objects`);
}
