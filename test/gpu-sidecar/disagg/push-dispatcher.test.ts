/** Push over real HTTP/2: two faces of the same call, and that neither outlives the other. */

import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import type { PrefillHost, PrefillJob } from '../../../gpu-sidecar/disagg/prefill-dispatcher.ts';
import { PushDispatcher } from '../../../gpu-sidecar/disagg/push-dispatcher.ts';
import { PrefillPeerSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { soon } from '../../harness/soon.ts';
import { Faces, TOKEN } from '../server/faces.ts';

const jobFor = (port: number): PrefillJob => ({
  requestId: 'req_1',
  peer: create(PrefillPeerSchema, {
    instanceId: '00000000000000aa',
    grpcAddress: `127.0.0.1:${port}`,
    reservation: 9,
  }),
  routerBoot: 4,
  tokenIds: Uint32Array.of(1, 2, 3, 4),
  blockHashes: new Uint8Array(8),
  hashSeed: 5n,
  priority: -1,
});

function pushed(port: number, fleetToken = TOKEN) {
  const dispatcher = new PushDispatcher({ fleetToken, tls: null, instanceId: '00000000000000dd' });
  const hosts: PrefillHost[] = [];
  const gone = new AbortController();
  const answer = dispatcher.dispatch(jobFor(port), {
    signal: gone.signal,
    accepted: (host) => void hosts.push(host),
  });
  answer.catch(() => {});
  return { answer, hosts, gone, [Symbol.dispose]: () => dispatcher.close() };
}

test('the peer computes the prompt under its own reservation and says so', async () => {
  await using faces = await Faces.open();
  using call = pushed(faces.grpcPort);
  await soon(() => expect(call.hosts).toHaveLength(1));
  expect(call.hosts[0]).toEqual({ instanceId: '00000000000000aa', address: `127.0.0.1:${faces.grpcPort}` });
  const { last } = faces.worker.engine;
  expect(last.request).toMatchObject({
    requestId: 'req_1',
    tokenIds: Uint32Array.of(1, 2, 3, 4),
    hashSeed: 5n,
    priority: -1,
  });
  last.start(4).say('x');
  expect(await call.answer).toEqual({ cachedTokens: 4 });
  expect(faces.worker.reports.at(-1)).toMatchObject({ reservation: 9, phase: 'end' });
});

test('a caller that gives up stops the engine of the peer', async () => {
  await using faces = await Faces.open();
  using call = pushed(faces.grpcPort);
  await soon(() => expect(call.hosts).toHaveLength(1));
  call.gone.abort();
  await expect(call.answer).rejects.toMatchObject({ code: 'cancelled' });
  await soon(() => expect(faces.worker.engine.last.aborted).toBe(true));
  await soon(() => expect(faces.worker.admission.open).toBe(0));
});

test('one that gave up before asks nobody', async () => {
  await using faces = await Faces.open();
  using dispatcher = new DisposablePush();
  const answer = dispatcher.dispatch(jobFor(faces.grpcPort), {
    signal: AbortSignal.abort(),
    accepted: () => {},
  });
  await expect(answer).rejects.toMatchObject({ code: 'cancelled' });
  expect(faces.worker.engine.requests).toEqual([]);
});

class DisposablePush extends PushDispatcher {
  constructor() {
    super({ fleetToken: TOKEN, tls: null, instanceId: '00000000000000dd' });
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

test('refusals keep their code, and a peer that is not there is unavailable', async () => {
  const faces = await Faces.open();
  faces.worker.lifecycle.advance('draining');
  {
    using call = pushed(faces.grpcPort);
    await expect(call.answer).rejects.toMatchObject({ code: 'worker_draining' });
    using stranger = pushed(faces.grpcPort, 'wrong');
    await expect(stranger.answer).rejects.toMatchObject({ code: 'invalid_api_key' });
  }
  await faces[Symbol.asyncDispose]();
  using call = pushed(faces.grpcPort);
  await expect(call.answer).rejects.toMatchObject({ code: 'worker_unavailable' });
});

test('a peer that dies over it is unavailable', async () => {
  const faces = await Faces.open();
  using call = pushed(faces.grpcPort);
  await soon(() => expect(call.hosts).toHaveLength(1));
  await faces[Symbol.asyncDispose]();
  await expect(call.answer).rejects.toMatchObject({ code: 'worker_unavailable' });
});
