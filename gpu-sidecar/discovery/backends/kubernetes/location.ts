/**
 * Where the API server is and who this process is there, from what stands behind `--discovery kubernetes:` and from what a Pod has.
 *
 *     kubernetes                                                        in a Pod, whose template sets POD_NAME and POD_UID
 *     kubernetes:https://HOST:PORT?account=FOLDER&namespace=NAME        anywhere: FOLDER has token and ca.crt of a service account
 *
 * Several processes of one Pod have a name each (`process=`, STATOR_PROCESS_NAME; the launcher gives its workers theirs), the same after
 * a restart: by it they share what is said of the Pod. The token is read for every call, because kubelet replaces it.
 */

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StatorError } from '../../../../durable/runtime/errors.ts';
import type { KubernetesAccess } from '../../../../durable/runtime/kubernetes-api.ts';
import { tlsFetch } from '../../../tls/tls-fetch.ts';
import { readAuthorities } from '../../../tls/tls-files.ts';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const PARAMETERS = ['account', 'namespace', 'pod', 'process', 'uid'];

export interface KubernetesLocation {
  /** All but waiting. */
  access: Omit<KubernetesAccess, 'pause'>;
  namespace: string;
  /** The Pod that this process is in; null: none. */
  pod: { name: string; uid: string; process: string } | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws StatorError `invalid_request`. */
export function kubernetesLocation(location: string, env: Environment): KubernetesLocation {
  const url = serverUrl(location, env);
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) throw wrong(`knows no ${unknown}, only ${PARAMETERS.join(', ')}`);
  const given = (name: string, variable = '') => url.searchParams.get(name) ?? env[variable] ?? '';
  const account = given('account') || ACCOUNT;
  const pod = given('pod', 'POD_NAME');
  const uid = given('uid', 'POD_UID');
  if (pod !== '' && uid === '') throw wrong('wants POD_UID beside POD_NAME (fieldRef metadata.uid)');
  const send =
    url.protocol === 'http:'
      ? fetch
      : tlsFetch({ cert: '', key: '', ca: readAuthorities(join(account, 'ca.crt'), 'discovery kubernetes') });
  return {
    access: {
      fetch: (path, init) => send(url.origin + path, init),
      token: () => readFile(join(account, 'token'), 'utf8'),
    },
    namespace: given('namespace', 'POD_NAMESPACE') || namespaceOf(account),
    pod: pod === '' ? null : { name: pod, uid, process: given('process', 'STATOR_PROCESS_NAME') || 'worker' },
  };
}

function serverUrl(location: string, env: Environment): URL {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  const here = host ? `https://${host.includes(':') ? `[${host}]` : host}:${port}` : '';
  const text = location.startsWith('http') ? location : here + location;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw wrong(
    location === '' ? 'wants an address outside of a Pod' : `'${location}' is no http or https address`,
  );
}

function namespaceOf(account: string): string {
  try {
    return readFileSync(join(account, 'namespace'), 'utf8').trim();
  } catch {
    return 'default';
  }
}

const wrong = (reason: string) => new StatorError('invalid_request', `discovery kubernetes: ${reason}`);
