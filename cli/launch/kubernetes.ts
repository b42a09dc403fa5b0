/**
 * How workerd reaches Kubernetes, for the planner's connector: the address of the API server, whom to trust, and the folder of
 * the service account, which has the token. In a Pod all of it is where Kubernetes puts it.
 */

import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { parseTargets } from '../../durable/planner/connectors/kubernetes-target.ts';
import { flagName, type SettingName, type Settings } from '../../durable/runtime/config.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { executingConnector } from '../../durable/runtime/executing-connector.ts';
import { readAuthorities } from '../../gpu-sidecar/tls/tls-files.ts';

export interface KubernetesServices {
  /** `host:port`. */
  address: string;
  /** Null: plain HTTP, as `kubectl proxy` listens. */
  tls: { ca: string; certificateHost: string } | null;
  /** Absolute path. */
  account: string;
}

/** In every cluster the server's certificate is for this name; for its address it need not be. */
const SERVER_NAME = 'kubernetes.default.svc';

type Environment = Readonly<Record<string, string | undefined>>;

/** Null where nothing asks for it. Throws StatorError `invalid_request` naming flag and file. */
export function kubernetesServices(settings: Settings, env: Environment): KubernetesServices | null {
  if (settings.planner === 'off' || executingConnector(settings) !== 'kubernetes') return null;
  const target = settings.kubernetesTarget;
  if (parseTargets(target) === null)
    throw wrong('kubernetesTarget', `${target} is no group/version/Kind/name`);
  const url = serverUrl(settings, env);
  const account = settings.kubernetesAccount;
  if (!isFile(join(account, 'token'))) throw wrong('kubernetesAccount', `${account} has no token`);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const address = `${url.hostname}:${port}`;
  if (url.protocol === 'http:') return { address, tls: null, account };
  const label = `--${flagName('kubernetesAccount')}`;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const certificateHost = isIP(host) === 0 ? host : SERVER_NAME;
  return { address, tls: { ca: readAuthorities(join(account, 'ca.crt'), label), certificateHost }, account };
}

function serverUrl({ kubernetesUrl }: Settings, env: Environment): URL {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  const text = kubernetesUrl || (host ? `https://${host.includes(':') ? `[${host}]` : host}:${port}` : '');
  if (text === '') throw wrong('kubernetesUrl', 'is not given, and this is no Pod of a cluster');
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol))
    throw wrong('kubernetesUrl', `${text} is no http(s) URL`);
  return url;
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;
const wrong = (setting: SettingName, reason: string) =>
  new StatorError('invalid_request', `--${flagName(setting)}: ${reason}`, { param: setting });
