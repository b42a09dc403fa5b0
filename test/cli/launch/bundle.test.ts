/** The platform's bundle, built as for production: is it small, and is a second build free? */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BUNDLE_LIMITS } from '../../../cli/commands/build.ts';
import { buildBundle } from '../../../cli/launch/bundle.ts';

test('the bundle stays within its limits, and the second time it is there already', async () => {
  const bundle = await buildBundle();
  expect(existsSync(join(bundle.directory, 'index.js'))).toBe(true);
  expect(bundle.scriptBytes).toBeGreaterThan(50_000);
  expect(bundle.scriptBytes).toBeLessThanOrEqual(BUNDLE_LIMITS.scriptBytes);
  expect(bundle.wasmBytes).toBeGreaterThan(50_000);
  expect(bundle.wasmBytes).toBeLessThanOrEqual(BUNDLE_LIMITS.wasmBytes);
  expect(await buildBundle()).toEqual({ ...bundle, cached: true });
}, 120_000);
