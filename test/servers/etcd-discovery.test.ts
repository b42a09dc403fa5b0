/** The contract of discovery on a real etcd. */
import { openDiscovery } from '../../gpu-sidecar/discovery/registry.ts';
import { discoveryContract } from '../contract/discovery.contract.ts';
import { EtcdServer } from './etcd-server.ts';

discoveryContract({
  name: 'etcd',
  leaseMs: 2_000,
  restarts: ['with what it had', 'empty'],
  start: async () => {
    const etcd = await EtcdServer.start();
    return {
      open: (options) => openDiscovery(`etcd:${etcd.url}`, options),
      restart: (how) => etcd.restart(how),
      close: () => etcd.close(),
    };
  },
});
