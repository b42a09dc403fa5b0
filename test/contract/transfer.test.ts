/** The contract of transfers against every backend that needs nothing installed; `nixl`: test/servers. */

import { ShmBackend } from '../../gpu-sidecar/transfer/backends/shm.ts';
import { TcpBackend } from '../../gpu-sidecar/transfer/backends/tcp.ts';
import { transferContract } from './transfer.contract.ts';
import { transferKills } from './transfer.kills.ts';

transferContract({ name: 'tcp', open: () => TcpBackend.listen({ host: '127.0.0.1', port: 0, tls: null }) });
// Linux alone has it; elsewhere this fails and says so.
transferContract({ name: 'shm', open: async (arena, timers) => new ShmBackend(arena, timers) });
transferKills('tcp');
transferKills('shm');
