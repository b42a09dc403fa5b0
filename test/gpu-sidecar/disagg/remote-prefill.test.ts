/** A prompt at another worker: what comes, when it is given up, and that nothing of it stays behind. */

import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { StatorError } from '../../../durable/runtime/errors.ts';
import type { PromptToCompute } from '../../../gpu-sidecar/disagg/remote-prefill.ts';
import { PrefillPeerSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { ManualTime } from '../../harness/manual-time.ts';
import { BLOCK_BYTES, PEER, ScriptedPeer, settled } from './scripted-peer.ts';

const promptOf = (tokens: number, change: Partial<PromptToCompute> = {}): PromptToCompute => ({
  requestId: 'req_1',
  peer: create(PrefillPeerSchema, { instanceId: PEER.instanceId, grpcAddress: PEER.address, reservation: 3 }),
  routerBoot: 4,
  tokenIds: Uint32Array.from({ length: tokens }, (_, i) => i + 1),
  blockHashes: new Uint8Array(8 * Math.floor(tokens / 4)),
  hashSeed: 0n,
  priority: 2,
  endsThere: true,
  ...change,
});

function begun(tokens = 14, change: Partial<PromptToCompute> = {}) {
  const time = new ManualTime();
  const peer = new ScriptedPeer(time);
  const gone = new AbortController();
  const answer = peer.remotePrefill.run(promptOf(tokens, change), gone.signal);
  return { time, peer, gone, answer };
}

test('blocks come while they are computed, and the engine may begin when all are here', async () => {
  const { peer, answer, time } = begun();
  expect(peer.prompt.job).toMatchObject({
    requestId: 'req_1',
    routerBoot: 4,
    priority: 2,
    tokenIds: Uint32Array.from({ length: 12 }, (_, i) => i + 1),
  });
  expect(peer.prompt.job.blockHashes).toHaveLength(24);
  expect(peer.pulls).toHaveLength(0);
  peer.prompt.accept();
  await settled();
  expect(peer.pulling.order).toMatchObject({ address: PEER.address, blocks: { length: 3 } });
  peer.pulling.bring(2);
  peer.prompt.computed(4);
  peer.pulling.bring(1);
  const prefilled = await answer;
  expect(prefilled).toMatchObject({ by: PEER, why: null, blocks: 3, cachedTokens: 4 });
  expect(peer.memory.held).toBe(3);
  prefilled[Symbol.dispose]();
  prefilled[Symbol.dispose]();
  expect(peer.memory.held).toBe(0);
  expect(time.waiting).toBe(0);
  const text = peer.metrics.text();
  expect(text).toContain('remote_prefill_total{outcome="remote"} 1');
  expect(text).toContain(`remote_prefill_bytes_total ${3 * BLOCK_BYTES}`);
});

test.each([
  ["a prompt's last token is computed here", 12, {}, 2],
  ['but where generated tokens follow, its last block is wanted too', 12, { endsThere: false }, 3],
  ['an incomplete block is computed here', 11, { endsThere: false }, 2],
] as const)('%s', async (_, tokens, change, blocks) => {
  const { peer, gone, answer } = begun(tokens, change);
  expect(peer.prompt.job.tokenIds).toHaveLength(4 * blocks);
  gone.abort();
  await answer;
});

test('what is here already is asked of nobody', async () => {
  const { peer, answer } = begun();
  peer.prompt.accept();
  await settled();
  peer.pulling.bring(3);
  peer.prompt.computed();
  (await answer)[Symbol.dispose]();
  const again = await peer.remotePrefill.run(promptOf(14), new AbortController().signal);
  expect(again).toMatchObject({ by: null, why: 'cached', blocks: 0 });
  expect(peer.prompts).toHaveLength(1);
});

describe('is computed here after all when the other worker', () => {
  const lost = new StatorError('worker_unavailable', 'lost');

  test.each([
    ['cannot be reached', (peer: ScriptedPeer) => peer.prompt.fail(lost), 'worker_unavailable'],
    [
      'refuses',
      (peer: ScriptedPeer) => peer.prompt.fail(new StatorError('worker_draining', 'going')),
      'worker_draining',
    ],
  ])('%s', async (_, fail, why) => {
    const { peer, answer, time } = begun();
    fail(peer);
    const prefilled = await answer;
    expect(prefilled).toMatchObject({ by: null, why, blocks: 0, cachedTokens: null });
    expect(peer.pulls).toHaveLength(0);
    expect(time.waiting).toBe(0);
    expect(peer.metrics.text()).toContain(`remote_prefill_fallback_total{reason="${why}"} 1`);
  });

  test.each([0, 1, 2])('is lost after %i blocks; those are found all the same', async (blocks) => {
    const { peer, answer, time } = begun();
    peer.prompt.accept();
    await settled();
    peer.pulling.bring(blocks);
    peer.prompt.fail(lost);
    const prefilled = await answer;
    expect(prefilled).toMatchObject({ by: null, why: 'worker_unavailable', blocks });
    expect(peer.pulling.order.signal.aborted).toBe(true);
    expect(peer.memory.held).toBe(blocks);
    prefilled[Symbol.dispose]();
    expect(peer.memory.held).toBe(0);
    expect(time.waiting).toBe(0);
  });

  test.each(['checksum', 'no_room', 'no_backend'])(
    'cannot bring its blocks (%s): then it need not compute them',
    async (fault) => {
      const { peer, answer } = begun();
      peer.prompt.accept();
      await settled();
      peer.pulling.bring(1);
      peer.pulling.stop(fault);
      const prefilled = await answer;
      expect(prefilled).toMatchObject({ by: null, why: fault, blocks: 1 });
      expect(peer.prompt.signal.aborted).toBe(true);
      prefilled[Symbol.dispose]();
    },
  );

  test.each(['accepting', 'sending', 'saying that it is done'])('stalls %s', async (step) => {
    const { peer, answer, time } = begun();
    if (step !== 'accepting') {
      peer.prompt.accept();
      await settled();
      peer.pulling.bring(step === 'sending' ? 1 : 3);
      await settled();
    }
    time.advance(999);
    await settled();
    expect(peer.prompt.signal.aborted).toBe(false);
    time.advance(1);
    const prefilled = await answer;
    const done = step === 'saying that it is done';
    expect(prefilled.why).toBe(done ? null : 'deadline_exceeded');
    expect(prefilled).toMatchObject({ blocks: { accepting: 0, sending: 1 }[step] ?? 3, cachedTokens: null });
    expect(peer.prompt.signal.aborted).toBe(true);
    prefilled[Symbol.dispose]();
    expect(peer.memory.held).toBe(0);
    expect(time.waiting).toBe(0);
  });

  test('is slow but does something: then it has its time', async () => {
    const { peer, answer, time } = begun();
    time.advance(900);
    peer.prompt.accept();
    await settled();
    for (let block = 0; block < 3; block++) {
      time.advance(900);
      peer.pulling.bring(1);
      await settled();
    }
    time.advance(900);
    peer.prompt.computed();
    expect((await answer).by).toEqual(PEER);
  });
});

test.each(['asked', 'accepted', 'some blocks'])(
  'a caller that leaves (%s) ends both halves',
  async (phase) => {
    const { peer, answer, gone, time } = begun();
    if (phase !== 'asked') {
      peer.prompt.accept();
      await settled();
      if (phase === 'some blocks') peer.pulling.bring(1);
    }
    gone.abort();
    const prefilled = await answer;
    prefilled[Symbol.dispose]();
    expect(peer.prompt.signal.aborted).toBe(true);
    expect(peer.pulls.every(({ order }) => order.signal.aborted)).toBe(true);
    expect(peer.memory.held).toBe(0);
    expect(time.waiting).toBe(0);
  },
);
