/** The Node runtime for objects (`durable/polyfill`) keeps the contract. Its workerd twin: test/objects. */

import { ObjectNamespace } from '../../durable/polyfill/object-namespace.ts';
import { ObjectStorage } from '../../durable/polyfill/object-storage.ts';
import type { PairedSocket } from '../../durable/polyfill/socket-pair.ts';
import { settled, VirtualHost } from '../../durable/polyfill/virtual-host.ts';
import { objectContract, type ProbeSocket, type ProbeStub } from './durable-object.contract.ts';
import { Probe } from './durable-object.probe.ts';
import { probeSocket } from './durable-object.socket.ts';

const host = new VirtualHost({ startMs: 1_000 });
const probes = new ObjectNamespace(Probe, {
  env: {},
  host,
  report: (error) => {
    throw error;
  },
});

async function connect(name: string): Promise<ProbeSocket> {
  const request = new Request('http://probe/', { headers: { upgrade: 'websocket' } });
  const response = await probes.getByName(name).fetch(request);
  const { webSocket } = response as Response & { webSocket: PairedSocket };
  return probeSocket(webSocket, response.headers.get('sec-websocket-protocol'));
}

objectContract({
  async withStorage(body) {
    const database = ObjectStorage.emptyDatabase();
    await body(new ObjectStorage(database, () => {}) as unknown as DurableObjectStorage);
    database.close();
  },
  stub: (name) => probes.getByName(name) as unknown as ProbeStub,
  id: (name) => probes.idFromName(name),
  connect,
  async crash(name) {
    probes.crash(probes.idFromName(name));
    await settled();
  },
  nowMs: () => host.nowMs(),
  async until(ask, right) {
    for (;;) {
      const answer = await ask();
      if (right(answer)) return answer;
      await host.advance(10);
    }
  },
});
