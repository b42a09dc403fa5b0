/** The queue policy that a router starts with, from its settings. */

import type { Settings } from '../../runtime/config.ts';
import { type PolicyDocument, parsePolicyDocument, policyError } from './policy-document.ts';
import { checkProfiles } from './policy-profile.ts';

/** Throws `invalid_request` naming the field that is not valid. */
export function configuredPolicy(
  settings: Pick<
    Settings,
    'routerMode' | 'routerPolicy' | 'routerQueueThreshold' | 'routerQueueWaitMs' | 'routerQueuePolicy'
  >,
): PolicyDocument {
  const { routerQueueThreshold: threshold, routerQueuePolicy: policy } = settings;
  const { routerQueueWaitMs: waitMs, routerMode, routerPolicy } = settings;
  // Waits are predicted for the rule that predicts.
  const holds = waitMs !== 'off' && routerMode === 'kv' && routerPolicy === 'stator';
  const order = holds && threshold === 'off' ? 'aged' : 'fcfs';
  return checkedPolicy({
    router_queue_threshold: threshold === 'off' ? null : threshold,
    router_queue_wait_ms: holds ? waitMs : null,
    router_queue_policy: policy === 'auto' || policy.startsWith('{') ? order : policy,
    ...(policy.startsWith('{') ? jsonObject(policy) : {}),
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
