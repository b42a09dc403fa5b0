/**
 * How an object reaches the API server: two services that `stator up` writes into workerd's configuration
 * (cli/launch/kubernetes.ts). One is the server and trusts its authority alone; the other is the folder of the service
 * account, read for every call, so that a token which kubelet replaces is the new one at once and never part of a setting.
 */

import type { KubernetesAccess } from '../../runtime/kubernetes-api.ts';

interface Service {
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

export interface ObjectAccess extends KubernetesAccess {
  /** Of the service account; empty: it does not say. */
  namespace(): Promise<string>;
}

/** Null: this Worker was not given them. */
export function accessFrom(
  env: Readonly<Record<string, unknown>>,
  after: (delayMs: number, task: () => void) => void,
): ObjectAccess | null {
  const server = env['KUBERNETES'] as Service | undefined;
  const account = env['KUBERNETES_ACCOUNT'] as Service | undefined;
  if (server === undefined || account === undefined) return null;
  const fileOf = async (name: string): Promise<string | null> => {
    const response = await account.fetch(`http://account/${name}`);
    const text = await response.text();
    return response.ok ? text.trim() : null;
  };
  return {
    // The host is only for the eye: the service knows the address.
    fetch: (path, init) => server.fetch(`http://kubernetes${path}`, init),
    async token() {
      const token = await fileOf('token');
      if (token === null) throw new Error('the service account has no token');
      return token;
    },
    namespace: async () => (await fileOf('namespace').catch(() => null)) ?? '',
    pause: (ms) => new Promise((resolve) => after(ms, resolve)),
  };
}
