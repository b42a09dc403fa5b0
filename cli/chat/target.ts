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
} as const;

/** `records`: what runs on this machine. Throws StatorError when there is nothing to talk to, or more than one. */
export function chooseTarget(
  asked: { url?: string | undefined; apiKey?: string | undefined },
  records: readonly Pick<DeploymentRecord, keyof Target>[],
): Target {
  if (asked.url !== undefined) {
    const url = asked.url.replace(/\/+$/, '').replace(/\/v1$/, '');
    if (!/^https?:\/\/./.test(url) || !URL.canParse(url)) {
      throw new StatorError('invalid_request', `--url: ${asked.url} is not an http or https address`);
    }
    const known = records.find((record) => record.url === url);
    const control = known?.control ?? { url, tls: null };
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
