/** The contract of discovery on a real nats-server with JetStream. */

import { openDiscovery } from '../../gpu-sidecar/discovery/registry.ts';
import { discoveryContract } from '../contract/discovery.contract.ts';
import { NatsServer } from './nats-server.ts';

discoveryContract({
  name: 'nats',
  leaseMs: 1_500,
  restarts: ['empty', 'with what it had'],
  start: async () => {
    const server = await NatsServer.start();
    return {
      open: (options) => openDiscovery(`nats:${server.url}`, options),
      restart: async ({ empty }) => {
        await server.kill();
        if (empty) server.forget();
        await server.start();
      },
      close: () => server.end(),
    };
  },
});
