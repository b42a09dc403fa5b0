/**
 * The setting `global_router` names a file of pools. It is checked here and goes on as JSON.
 */

import { configuredPools } from '../durable/global-router/configured-pools.ts';
import type { Settings } from '../durable/runtime/config.ts';
import { StatorError } from '../durable/runtime/errors.ts';
import { inlineDocument, isDocumentFile } from './document-file.ts';

const check = (json: unknown) => void configuredPools(json, { ttftMs: null, itlMs: null });

/** The setting as the platform wants it. Throws `invalid_request` naming the file and the field. */
export function inlineGlobalRouter(settings: Settings): Settings {
  const { globalRouter: given } = settings;
  if (given === '') return settings;
  if (isDocumentFile(given)) {
    return { ...settings, globalRouter: inlineDocument(given, 'globalRouter', check) };
  }
  if (!given.startsWith('{')) {
    const message = `global_router: ${given} is no .json, .yaml or .toml file`;
    throw new StatorError('invalid_request', message, { param: 'globalRouter' });
  }
  check(JSON.parse(given));
  return settings;
}
