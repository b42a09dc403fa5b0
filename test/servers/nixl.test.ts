/** The contract of transfers over NIXL, whose library is found in the Python package as on a user's machine. */

import { delimiter, dirname } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NixlBackend } from '../../gpu-sidecar/transfer/backends/nixl.ts';
import { findNixlLibrary } from '../../gpu-sidecar/transfer/backends/nixl-library.ts';
import { transferContract } from '../contract/transfer.contract.ts';
import { transferKills } from '../contract/transfer.kills.ts';
import { pythonWithPackages } from './python.ts';

const path = process.env['PATH'] ?? '';

beforeAll(async () => {
  // `python3` is then the one that has the package.
  process.env['PATH'] = `${dirname(await pythonWithPackages())}${delimiter}${path}`;
}, 600_000);
afterAll(() => {
  process.env['PATH'] = path;
});

test('the library is found in an installed Python package, with its plugins', () => {
  expect(findNixlLibrary('')).toMatchObject({
    path: expect.stringContaining('libnixl_capi.so'),
    plugins: expect.stringContaining('plugins'),
  });
});

transferContract({
  name: 'nixl',
  open: async (arena, timers) => new NixlBackend({ arena, library: '', timers }),
});
transferKills('nixl');
