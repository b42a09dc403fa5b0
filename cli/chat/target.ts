/** Which deployment a command talks to: the one that `--url` names, else the one that runs on this machine. */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { DeploymentRecord } from '../launch/records.ts';
import type { Control } from '../launch/tls.ts';

export interface Target {
  /** Base URL without a slash at its end, as people know it. */
  url: string;
  /** How to get there. */
  control: Control;
  apiKey: string;
}

/** The options that say it, for citty. */
export const TARGET_ARGS = {
  url: { type: 'string', description: 'Address of the deployment; default: the one that runs here.' },
  'api-key': { type: 'string', description: 'Its API key (or STATOR_API_KEY).' },
  'tls-client-cert': {
    type: 'string',
    description: 'PEM certificate to show to the one at --url (or STATOR_TLS_CLIENT_CERT).',
  },
  'tls-client-key': { type: 'string', description: 'Its PEM private key (or STATOR_TLS_CLIENT_KEY).' },
  'tls-ca': {
    type: 'string',
    description: 'PEM certificate of the authority behind --url (or STATOR_TLS_CA); default: those of Node.',
  },
} as const;

interface Asked {
  url?: string | undefined;
  apiKey?: string | undefined;
  /** Files for the one at `url`. */
  tls?: Control['tls'];
}

/** What options and environment say. Throws StatorError `invalid_request` for half of a certificate. */
export function askedTarget(
  args: Readonly<Partial<Record<keyof typeof TARGET_ARGS, string | undefined>>>,
  env: Readonly<Record<string, string | undefined>>,
): Asked {
  const said = (name: keyof typeof TARGET_ARGS) =>
    args[name] ?? env[`STATOR_${name.replaceAll('-', '_').toUpperCase()}`] ?? '';
  const [cert, key, ca] = [said('tls-client-cert'), said('tls-client-key'), said('tls-ca')];
  if ((cert === '') !== (key === '')) {
    const [given, missing] = cert === '' ? ['key', 'cert'] : ['cert', 'key'];
    throw new StatorError('invalid_request', `--tls-client-${given} wants --tls-client-${missing}, too`);
  }
  const explicit = args['tls-client-cert'] ?? args['tls-ca'];
  if (args.url === undefined && explicit !== undefined) {
    throw new StatorError('invalid_request', 'the options --tls-… say how to reach --url, which is missing');
  }
  const tls = cert === '' && ca === '' ? null : { cert, key, ca, ownsFlags: true };
  return { url: args.url, apiKey: args['api-key'] ?? env['STATOR_API_KEY'], tls };
}

/** `records`: what runs on this machine. Throws StatorError when there is nothing to talk to, or more than one. */
export function chooseTarget(asked: Asked, records: readonly Pick<DeploymentRecord, keyof Target>[]): Target {
  if (asked.url !== undefined) {
    const url = asked.url.replace(/\/+$/, '').replace(/\/v1$/, '');
    if (!/^https?:\/\/./.test(url) || !URL.canParse(url)) {
      throw new StatorError('invalid_request', `--url: ${asked.url} is not an http or https address`);
    }
    const known = records.find((record) => record.url === url);
    const control = known?.control ?? { url, tls: asked.tls ?? null };
    return { url, control, apiKey: asked.apiKey ?? known?.apiKey ?? '' };
  }
  const [only, other] = records;
  if (only === undefined) {
    throw new StatorError(
      'no_workers',
      'nothing is running here: `npm start` (or `npx stator up`) starts a deployment, --url ADDRESS names one elsewhere',
    );
  }
  if (other !== undefined) {
    const urls = records.map(({ url }) => url).join(', ');
    throw new StatorError('invalid_request', `several deployments run here (${urls}): choose with --url`);
  }
  return { url: only.url, control: only.control, apiKey: asked.apiKey ?? only.apiKey };
}
