/**
 * Four projects: `node` (pure cores, wasm, sidecar, cli), `workers` (functions and objects inside workerd's test pool),
 * `objects` (what objects rely on, in workerd; `node` runs the same suite on the polyfill), `e2e` (real processes).
 * `servers` needs real servers, browsers and Python clients and runs only with --servers.
 */
import { cloudflareTest } from '@cloudflare/vitest-pool-workers';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          include: [
            'test/{durable,functions,wasm,gpu-sidecar,cli,contract,sim}/**/*.test.ts',
            'test/*.test.ts',
          ],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: {
              bindings: {
                STATOR_API_KEY: 'sk-stator-test',
                STATOR_FLEET_TOKEN: 'fleet-token-of-the-tests',
                STATOR_BODY_LIMIT_BYTES: '100000',
              },
            },
          }),
        ],
        test: {
          name: 'workers',
          include: ['test/workers/**/*.test.ts'],
          globalSetup: ['test/workers/functions/scripted-sidecar.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            main: './test/contract/durable-object.probe.ts',
            miniflare: {
              compatibilityDate: '2026-08-15',
              durableObjects: { PROBE: { className: 'Probe', useSQLite: true } },
            },
          }),
        ],
        test: {
          name: 'objects',
          include: ['test/objects/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'servers',
          include: ['test/servers/**/*.test.ts'],
          testTimeout: 600_000,
          // They share a Python environment and the machine.
          fileParallelism: false,
        },
      },
    ],
  },
});
