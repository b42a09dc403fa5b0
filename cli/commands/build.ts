/** `stator build`: rebuilds the wasm when its sources changed, bundles the platform, prints the sizes. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { StatorError } from '../../durable/runtime/errors.ts';
import { buildBundle } from '../launch/bundle.ts';
import { PROJECT_ROOT } from '../paths.ts';

/** Largest bundle we accept (issue 1): the script minified, and its wasm. */
export const BUNDLE_LIMITS = { scriptBytes: 1024 * 1024, wasmBytes: 1.5 * 1024 * 1024 } as const;

export const build = defineCommand({
  meta: { name: 'build', description: 'Build wasm (when its sources changed) and the platform bundle.' },
  args: { json: { type: 'boolean', description: 'Sizes as JSON.', default: false } },
  async run({ args }): Promise<number> {
    const script = join(PROJECT_ROOT, 'wasm', 'build.mjs');
    const wasm = spawnSync(process.execPath, [script, '--if-changed'], { stdio: ['ignore', 2, 2] });
    if (wasm.status !== 0) throw new StatorError('internal', 'the wasm packages could not be built');
    const { directory, cached, scriptBytes, wasmBytes } = await buildBundle();
    if (args.json) process.stdout.write(`${JSON.stringify({ directory, cached, scriptBytes, wasmBytes })}\n`);
    else process.stdout.write(`bundle ${directory}\nscript ${scriptBytes} bytes, wasm ${wasmBytes} bytes\n`);
    const fits = scriptBytes <= BUNDLE_LIMITS.scriptBytes && wasmBytes <= BUNDLE_LIMITS.wasmBytes;
    if (!fits) process.stderr.write(`over the limit of ${JSON.stringify(BUNDLE_LIMITS)}\n`);
    return fits ? 0 : 1;
  },
});
