/** The queue policy that a router starts with, from its settings. */

import type { Settings } from '../../runtime/config.ts';
import { type PolicyDocument, parsePolicyDocument, policyError } from './policy-document.ts';
import { checkProfiles } from './policy-profile.ts';

/** Throws `invalid_request` naming the field that is not valid. */
export function configuredPolicy(
  settings: Pick<Settings, 'routerQueueThreshold' | 'routerQueuePolicy'>,
): PolicyDocument {
  const { routerQueueThreshold: threshold, routerQueuePolicy: policy } = settings;
  return checkedPolicy({
    router_queue_threshold: threshold === 'off' ? null : threshold,
    ...(policy.startsWith('{') ? jsonObject(policy) : { router_queue_policy: policy }),
  });
}

/** A document whose fields also fit together. Throws `invalid_request`. */
export function checkedPolicy(json: unknown): PolicyDocument {
  const document = parsePolicyDocument(json);
  checkProfiles(document);
  return document;
}

function jsonObject(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch (thrown) {
    throw policyError('', `is not JSON: ${(thrown as Error).message}`);
  }
}
