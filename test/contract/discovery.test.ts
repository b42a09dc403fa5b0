/** The contract of discovery on the backends that need no server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDiscovery } from '../../gpu-sidecar/discovery/registry.ts';
import { DiscoveryPlatform } from '../harness/discovery-platform.ts';
import { discoveryContract } from './discovery.contract.ts';

discoveryContract({
  name: 'file',
  leaseMs: 400,
  restarts: [],
  start: async () => {
    const directory = mkdtempSync(join(tmpdir(), 'stator-discovery-'));
    return {
      open: (options) => openDiscovery(`file:${directory}`, options),
      restart: async () => {},
      close: async () => rmSync(directory, { recursive: true, force: true }),
    };
  },
});

discoveryContract({
  name: 'object',
  leaseMs: 400,
  restarts: ['empty'],
  start: async () => {
    const platform = await DiscoveryPlatform.start(400);
    return {
      open: (options) => openDiscovery(`object:${platform.url}`, options),
      restart: async () => {
        await platform.down();
        await platform.up();
      },
      close: () => platform.down(),
    };
  },
});
