/**
 * The connector `kubernetes` when the API server is slow, busy, half there or lies. A scripted server, because no real one can be made
 * to do all that; what a real one does is in test/servers/kubernetes-connector.test.ts.
 */

import { describe, expect, it } from 'vitest';
import { kubernetesConnector } from '../../../../durable/planner/connectors/kubernetes.ts';
import { parseTargets } from '../../../../durable/planner/connectors/kubernetes-target.ts';
import { Outbox } from '../../../../durable/planner/connectors/outbox.ts';
import type { KeptOrder } from '../../../../durable/planner/rpc.ts';
import { realHost } from '../../../../durable/platform/host.ts';
import { resolveSettings } from '../../../../durable/runtime/config.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';

interface Asked {
  method: string;
  path: string;
  token: string | null;
  body: unknown;
}
type Script = (asked: Asked) => Response | Promise<Response>;

const RESOURCES = {
  resources: [
    { name: 'deployments', kind: 'Deployment' },
    { name: 'deployments/scale', kind: 'Scale' },
  ],
};
const scale = (replicas: number, resourceVersion = '1') => ({
  metadata: { resourceVersion },
  spec: { replicas },
  status: { replicas, selector: 'app=w' },
});
const status = (code: number, message: string, headers = {}) =>
  Response.json({ kind: 'Status', message }, { status: code, headers });

/** A connector whose waits take no time, and all that it asked. `tokens`: what the service account has, call after call. */
function connectorOn(script: Script, { target = 'apps/v1/Deployment/w', tokens = ['t'] } = {}) {
  const asked: Asked[] = [];
  let kept: KeptOrder | null = null;
  const disk = {
    read: () => kept,
    write(order: KeptOrder) {
      kept = order;
    },
  };
  const host = { ...realHost, after: (_ms: number, task: () => void) => void setImmediate(task) };
  const env = {
    KUBERNETES: {
      fetch: async (url: string, init: RequestInit) => {
        const { pathname, search } = new URL(url);
        const call = {
          method: init.method!,
          path: pathname + search,
          token: new Headers(init.headers).get('authorization'),
          body: init.body ? JSON.parse(init.body as string) : null,
        };
        asked.push(call);
        return pathname === '/apis/apps/v1' ? Response.json(RESOURCES) : script(call);
      },
    },
    KUBERNETES_ACCOUNT: {
      fetch: async (url: string) =>
        url.endsWith('/token')
          ? new Response(tokens.length > 1 ? tokens.shift()! : tokens[0]!)
          : new Response('', { status: 404 }),
    },
  };
  const settings = { ...resolveSettings([]), kubernetesTarget: target };
  return { connector: kubernetesConnector({ env, host, outbox: new Outbox(disk, host), settings }), asked };
}

const ORDER = { id: 1, counts: { worker: 3 } };
const puts = (asked: Asked[]) => asked.filter(({ method }) => method === 'PUT');

describe('the connector kubernetes', () => {
  it('writes of the Scale that it read, and again of a newer one when somebody was faster', async () => {
    let version = 1;
    const { connector, asked } = connectorOn(({ method, body }) => {
      if (method === 'GET') return Response.json(scale(version, String(version)));
      const { resourceVersion } = (body as { metadata: { resourceVersion: string } }).metadata;
      if (version < 3) {
        version += 1;
        return status(409, 'the object has been modified');
      }
      return Response.json(scale(3, resourceVersion));
    });
    await connector.order(ORDER);
    const written = puts(asked).map(({ body }) => body as ReturnType<typeof scale>);
    expect(written.map(({ metadata, spec }) => [metadata.resourceVersion, spec.replicas])).toEqual([
      ['1', 3],
      ['2', 3],
    ]);
    // The third that was read had what was wanted.
  });

  it('gives up after some conflicts, and says so', async () => {
    const { connector, asked } = connectorOn(({ method }) =>
      method === 'GET' ? Response.json(scale(1)) : status(409, 'the object has been modified'),
    );
    await connector.order(ORDER);
    expect(puts(asked)).toHaveLength(LIMITS.kubernetesConflicts);
    expect(await connector.progress()).toMatchObject({
      kind: 'failed',
      why: expect.stringContaining('status 409: the object has been modified'),
    });
  });

  it('waits for a busy server, and not for ever for one that does not answer', async () => {
    let calls = 0;
    const busy = connectorOn(({ method }) => {
      calls += 1;
      if (calls < 3) return status(429, 'too many requests', { 'retry-after': '1' });
      return Response.json(scale(method === 'GET' ? 1 : 3));
    });
    await busy.connector.order(ORDER);
    expect(puts(busy.asked)).toHaveLength(1);
    const dead = connectorOn(() => {
      throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED 10.0.0.1:443') });
    });
    await dead.connector.order(ORDER);
    expect(await dead.connector.progress()).toEqual({
      kind: 'failed',
      why: 'the Kubernetes API server does not answer: connect ECONNREFUSED 10.0.0.1:443',
    });
    await expect(dead.connector.fleet({})).rejects.toThrow('does not answer');
    expect(dead.asked.length).toBeLessThan(10);
  });

  it('looks whether a change was made whose answer was lost', async () => {
    let replicas = 1;
    const { connector, asked } = connectorOn(({ method, path }) => {
      if (path.includes('/pods')) return Response.json({ items: [] });
      if (method === 'GET') return Response.json(scale(replicas));
      replicas = 3;
      throw new TypeError('network connection lost');
    });
    await connector.order(ORDER);
    expect(puts(asked)).toHaveLength(1);
    expect(await connector.progress()).toEqual({ kind: 'pending' });
  });

  it('takes a server that lies, or is none, for a fault and not for a fleet', async () => {
    for (const body of [{}, { metadata: { resourceVersion: '1' }, spec: { replicas: -4 } }, []]) {
      const { connector } = connectorOn(() => Response.json(body));
      await expect(connector.fleet({})).rejects.toThrow("the server's Scale is not what it should be");
    }
    const { connector } = connectorOn(() => new Response('<html>hello</html>'));
    await expect(connector.fleet({})).rejects.toThrow('no Kubernetes API server');
  });

  it('reads the token for every call, so that a new one counts at once', async () => {
    const { connector, asked } = connectorOn(() => Response.json(scale(3)), { tokens: ['old', 'new'] });
    await connector.order(ORDER);
    expect(asked.map(({ token }) => token)).toEqual(['Bearer old', 'Bearer new']);
  });

  it('says what is missing where the platform has no way to Kubernetes, and where a role has no target', async () => {
    const settings = { ...resolveSettings([]), kubernetesTarget: 'apps/v1/Deployment/w' };
    const outbox = new Outbox({ read: () => null, write: () => {} }, realHost);
    const nowhere = kubernetesConnector({ env: {}, host: realHost, outbox, settings });
    await expect(nowhere.fleet({})).rejects.toThrow('stator up');
    const { connector } = connectorOn(() => Response.json(scale(3)));
    await connector.order({ id: 1, counts: { decode: 1 } });
    expect(await connector.progress()).toEqual({
      kind: 'failed',
      why: '--kubernetes-target names nothing to scale for role decode',
    });
  });
});

describe('targets', () => {
  it('are kinds of any group, for all workers or for pools', () => {
    expect(parseTargets('apps/v1/Deployment/stator-worker')).toMatchObject([
      { role: 'worker', group: 'apps', version: 'v1', kind: 'Deployment', name: 'stator-worker' },
    ]);
    expect(
      parseTargets('prefill=v1/ReplicationController/p,decode=x.example.com/v1beta1/Engine/d.1'),
    ).toMatchObject([
      { role: 'prefill', group: '', kind: 'ReplicationController' },
      { role: 'decode', group: 'x.example.com', version: 'v1beta1', kind: 'Engine', name: 'd.1' },
    ]);
  });

  it.each([
    '',
    'Deployment/w',
    'apps/v1/deployment/w',
    'apps/v1/Deployment/w/scale',
    'apps/v1/Deployment/../w',
    'apps/v1/Deployment/w?x=1',
    'frontend=apps/v1/Deployment/w',
    'decode=apps/v1/Deployment/a,decode=apps/v1/Deployment/b',
    'apps/v1/Deployment/a,',
  ])('%j is none', (text) => {
    expect(parseTargets(text)).toBeNull();
  });
});
