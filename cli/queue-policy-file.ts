/**
 * The setting `router_queue_policy` may name a file of policy classes. It is checked here and goes on as JSON.
 */

import { checkedPolicy, configuredPolicy } from '../durable/router/queue/configured-policy.ts';
import type { Settings } from '../durable/runtime/config.ts';
import { inlineDocument, isDocumentFile } from './document-file.ts';

/** The setting as the platform wants it. Throws `invalid_request` naming the file and the field. */
export function inlineQueuePolicy(settings: Settings): Settings {
  const { routerQueuePolicy: given } = settings;
  if (!isDocumentFile(given)) {
    configuredPolicy(settings);
    return settings;
  }
  return { ...settings, routerQueuePolicy: inlineDocument(given, 'routerQueuePolicy', checkedPolicy) };
}
