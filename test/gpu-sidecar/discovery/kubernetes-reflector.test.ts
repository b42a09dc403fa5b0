/** The copy kept by list and watch, through what an API server does to its clients: versions forgotten, watches cut, lines torn. */

import { describe, expect, it } from 'vitest';
import { KubernetesApi } from '../../../durable/runtime/kubernetes-api.ts';
import { leaseSchema } from '../../../gpu-sidecar/discovery/backends/kubernetes/kube-objects.ts';
import { Reflector } from '../../../gpu-sidecar/discovery/backends/kubernetes/reflector.ts';
import { soon } from '../../harness/soon.ts';

const leaseOf = (name: string, resourceVersion: string) => ({
  metadata: { name, uid: name, resourceVersion },
  spec: { renewTime: '2026-11-22T00:00:00.000000Z', leaseDurationSeconds: 10 },
});
const listOf = (version: string, ...items: object[]) =>
  Response.json({ metadata: { resourceVersion: version }, items });
const event = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
const gone = event('ERROR', { kind: 'Status', code: 410, reason: 'Expired', metadata: {} });

/** Pieces of a watch, then its end. */
const stream = (...pieces: string[]): Response =>
  new Response(
    new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
        controller.close();
      },
    }),
  );
const silent = (signal: AbortSignal): Promise<Response> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));

/** A reflector on answers that come in this order; then watches stay silent. */
function reflectorOn(answers: (() => Response)[]) {
  const paths: string[] = [];
  const problems: (string | null)[] = [];
  const closed = new AbortController();
  const api = new KubernetesApi({
    fetch: async (path, init) => {
      paths.push(path);
      const answer = answers.shift();
      return answer ? answer() : silent(init.signal!);
    },
    token: async () => 't',
    pause: () => new Promise((resolve) => setImmediate(resolve)),
  });
  const reflector = new Reflector({
    api,
    path: '/leases',
    labelSelector: 'a=b',
    schema: leaseSchema,
    random: () => 0,
    pause: () => new Promise((resolve) => setImmediate(resolve)),
    changed: () => {},
    away: (problem) => problems.push(problem),
  });
  void reflector.run(closed.signal);
  return { reflector, paths, problems, close: () => closed.abort() };
}

const versionsOf = (paths: string[]) =>
  paths.map((path) => new URLSearchParams(path.split('?')[1]).get('resourceVersion') ?? 'list');

describe('the copy', () => {
  it('follows changes from the version of the list, and goes on from bookmarks', async () => {
    const { reflector, paths, close } = reflectorOn([
      () => listOf('5', leaseOf('a', '3'), leaseOf('b', '4')),
      () =>
        stream(
          event('MODIFIED', leaseOf('a', '6')),
          event('DELETED', leaseOf('b', '7')),
          event('BOOKMARK', { metadata: { resourceVersion: '9' } }),
        ),
    ]);
    await soon(() => expect(versionsOf(paths)).toEqual(['list', '5', '9']));
    expect([...reflector.objects.values()].map(({ metadata }) => metadata.resourceVersion)).toEqual(['6']);
    close();
  });

  it('puts lines together that come in pieces', async () => {
    const line = event('ADDED', leaseOf('ü', '6'));
    const { reflector, close } = reflectorOn([
      () => listOf('5'),
      () => stream(line.slice(0, 20), line.slice(20, 40), line.slice(40)),
    ]);
    await soon(() => expect(reflector.objects.has('ü')).toBe(true));
    close();
  });

  it.each([
    ['in the stream', () => stream(gone)],
    ['as the answer', () => Response.json({ message: 'too old' }, { status: 410 })],
  ])('reads the list again when its version is gone, told %s', async (_where, answer) => {
    const { reflector, paths, close } = reflectorOn([
      () => listOf('5', leaseOf('a', '3')),
      answer,
      () => listOf('50', leaseOf('c', '40')),
    ]);
    await soon(() => expect(versionsOf(paths)).toEqual(['list', '5', 'list', '50']));
    expect([...reflector.objects.keys()]).toEqual(['c']);
    close();
  });

  it('stays as it is while the server is away, and says so once it knows', async () => {
    const { reflector, problems, paths, close } = reflectorOn([
      () => listOf('5', leaseOf('a', '3')),
      () => {
        throw new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') });
      },
    ]);
    await soon(() => expect(versionsOf(paths)).toEqual(['list', '5', '5']));
    expect(reflector.objects.size).toBe(1);
    expect(problems).toEqual([null, expect.stringContaining('ECONNREFUSED')]);
    close();
  });

  it('reads a long list page by page, and passes over what is of no such shape', async () => {
    const page = Response.json({
      metadata: { resourceVersion: '5', continue: 'next' },
      items: [leaseOf('a', '1'), { metadata: { name: 'strange' } }],
    });
    const { reflector, paths, close } = reflectorOn([() => page, () => listOf('5', leaseOf('b', '2'))]);
    await soon(() => expect(reflector.synced).toBe(true));
    expect([...reflector.objects.keys()]).toEqual(['a', 'b']);
    expect(paths[1]).toContain('continue=next');
    close();
  });
});
