/// <reference types="@cloudflare/vitest-pool-workers/types" />
/** workerd keeps the contract that the Node runtime for objects promises (test/contract). */

import { abortAllDurableObjects, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { objectContract, type ProbeSocket, type ProbeStub } from '../contract/durable-object.contract.ts';
import { probeSocket } from '../contract/durable-object.socket.ts';

const { PROBE } = env as unknown as { PROBE: DurableObjectNamespace };
const stub = (name: string) => PROBE.get(PROBE.idFromName(name));

async function connect(name: string): Promise<ProbeSocket> {
  const headers = { upgrade: 'websocket', 'sec-websocket-protocol': 'probe' };
  const response = await stub(name).fetch('http://probe/', { headers });
  const socket = response.webSocket!;
  socket.binaryType = 'arraybuffer';
  const probe = probeSocket(socket, response.headers.get('sec-websocket-protocol'));
  socket.accept();
  return probe;
}

objectContract({
  withStorage: (body) =>
    runInDurableObject(PROBE.get(PROBE.newUniqueId()), async (_instance, state) => {
      await state.storage.deleteAll();
      await body(state.storage);
    }),
  stub: (name) => stub(name) as unknown as ProbeStub,
  id: (name) => PROBE.idFromName(name),
  connect,
  crash: () => abortAllDurableObjects(),
  nowMs: () => Date.now(),
  async until(ask, right) {
    for (;;) {
      const answer = await ask();
      if (right(answer)) return answer;
      await scheduler.wait(10);
    }
  },
});
