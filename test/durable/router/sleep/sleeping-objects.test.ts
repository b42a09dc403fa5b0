/** Router and Directory objects together, on virtual time, while a model sleeps: what is asked of the planner, and what a restart forgets. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Directory } from '../../../../durable/directory/directory-object.ts';
import { ObjectNamespace } from '../../../../durable/polyfill/object-namespace.ts';
import type { PairedSocket } from '../../../../durable/polyfill/socket-pair.ts';
import { VirtualHost } from '../../../../durable/polyfill/virtual-host.ts';
import { Router } from '../../../../durable/router/router-object.ts';
import type { RouteAnswer } from '../../../../durable/router/rpc.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import { dumpFrame, registerFrame } from '../fleet-worker.ts';
import { hashes } from '../naive-indexes.ts';

const TOKENIZER = 'ab'.repeat(32);
/** Workers have no files to give here. */
beforeEach(() => void vi.stubGlobal('fetch', async () => new Response(null, { status: 404 })));
afterEach(() => void vi.unstubAllGlobals());

function deployment(env: Record<string, unknown> = {}) {
  const host = new VirtualHost({ startMs: 1_000_000 });
  const report = (error: unknown) => {
    throw error;
  };
  const planner = { wakes: 0, outcome: 'pending', why: '', orders: 0 };
  const variables = {
    STATOR_LOG_LEVEL: 'error',
    STATOR_PLANNER: 'load',
    STATOR_PLANNER_MIN: '0',
    STATOR_WAKE_TIMEOUT_MS: '20000',
    ...env,
  };
  const directories = new ObjectNamespace(Directory, { env: variables, host, report });
  const PLANNER = {
    idFromName: (name: string) => name,
    get: () => ({
      async wake() {
        planner.wakes++;
        planner.orders = 1;
        return { waking: true, why: 'a request waits' };
      },
      status: async () => ({
        order:
          planner.orders === 0
            ? null
            : { order: { id: planner.orders }, outcome: planner.outcome, why: planner.why },
      }),
    }),
  };
  const bindings = { ...variables, DIRECTORY: directories, PLANNER };
  const routers = new ObjectNamespace(Router, { env: bindings, host, report });
  return {
    host,
    planner,
    router: routers.getByName('default'),
    models: async () => (await directories.getByName('directory').read(-1))?.models,
    restart: () => {
      routers.crash(routers.idFromName('default'));
      directories.crash(directories.idFromName('directory'));
    },
  };
}

type All = ReturnType<typeof deployment>;

async function join(all: All): Promise<PairedSocket> {
  const headers = { upgrade: 'websocket', 'sec-websocket-protocol': 'stator.fleet.v1' };
  const response = await all.router.fetch(new Request('http://router/fleet/v1/default', { headers }));
  const socket = (response as Response & { webSocket: PairedSocket }).webSocket;
  socket.send(registerFrame());
  socket.send(dumpFrame([], 0));
  await all.host.advance(0);
  return socket;
}

/** A deployment whose one worker has left. */
async function asleep(): Promise<All> {
  const all = deployment();
  (await join(all)).close(1000, '');
  await all.host.advance(0);
  return all;
}

const request = (more: object = {}) => ({
  requestId: 'req_1',
  model: 'tiny',
  blockHashes: hashes(1),
  promptTokens: 5,
  ...more,
});

/** As a function waits: again and again, until there is an answer. */
async function answered({ router, host }: All, first: RouteAnswer): Promise<RouteAnswer> {
  let answer = first;
  for (let turn = 0; answer.kind === 'ticket' && turn < 60; turn++) {
    const next = router.wait(answer.ticket);
    await host.advance(LIMITS.ticketWaitMs);
    answer = await next;
  }
  return answer;
}

test('a model that sleeps is listed, and requests for it wake the planner once and go to the worker that comes', async () => {
  const all = await asleep();
  expect(await all.models()).toMatchObject([{ name: 'tiny', sleeping: true, addresses: [] }]);
  const waiting = await Promise.all(
    ['r1', 'r2', 'r3']
      .map(async (requestId) => {
        const ticket = (await all.router.route(request({ requestId }))) as { ticket: number };
        return all.router.wait(ticket.ticket);
      })
      .map((wait) => Promise.resolve({ wait })),
  );
  await all.host.advance(0);
  expect(all.planner.wakes).toBe(1);
  await join(all);
  for (const { wait } of waiting) expect(await wait).toMatchObject({ kind: 'decision' });
  expect((await all.models())?.[0]).not.toHaveProperty('sleeping');
});

test('after a restart the directory still knows it, and the router takes it from the request', async () => {
  const all = await asleep();
  all.restart();
  expect(await all.models()).toMatchObject([{ name: 'tiny', namespace: 'default', sleeping: true }]);
  const [model] = (await all.models())!;
  const { blockSizeTokens } = model!;
  const first = await all.router.route(request({ asleep: { tokenizerSha256: TOKENIZER, blockSizeTokens } }));
  const answer = all.router.wait((first as { ticket: number }).ticket);
  await all.host.advance(0);
  expect(all.planner.wakes).toBe(1);
  await join(all);
  expect(await answer).toMatchObject({ kind: 'decision' });
});

test('a start that fails is told to who waits, and the next try comes after a rest', async () => {
  const all = await asleep();
  Object.assign(all.planner, { outcome: 'failed', why: '--model: /x.gguf is not there' });
  const refused = await answered(all, await all.router.route(request()));
  expect(refused).toMatchObject({ kind: 'refusal', code: 'no_workers' });
  expect((refused as { message: string }).message).toContain('/x.gguf is not there');
  const { wakes } = all.planner;
  await all.host.advance(LIMITS.wakeRestMs);
  Object.assign(all.planner, { outcome: 'pending', why: '' });
  const second = (await all.router.route(request())) as { ticket: number };
  const answer = all.router.wait(second.ticket);
  await all.host.advance(0);
  expect(all.planner.wakes).toBe(wakes + 1);
  await join(all);
  expect(await answer).toMatchObject({ kind: 'decision' });
});

test('nobody waits longer than the settings say', async () => {
  const all = await asleep();
  const refused = await answered(all, await all.router.route(request()));
  expect(refused).toMatchObject({ kind: 'refusal', code: 'no_workers', retryAfterS: 1 });
  expect(all.host.nowMs()).toBeGreaterThanOrEqual(1_020_000);
  expect(all.host.nowMs()).toBeLessThan(1_024_000);
});
