/** A llama engine with KV memory: what left its cache comes back from lower tiers, as the same tokens, whatever goes wrong there. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it, vi } from 'vitest';
import { wallClock } from '../../../../durable/runtime/clock.ts';
import { Metrics } from '../../../../durable/runtime/metrics.ts';
import { LlamaContext } from '../../../../gpu-sidecar/engines/llama/context.ts';
import type { LlamaEngine } from '../../../../gpu-sidecar/engines/llama/engine.ts';
import { SharedDirectory } from '../../../../gpu-sidecar/kvbm/objects/shared-directory.ts';
import { TierFault, type TierStore } from '../../../../gpu-sidecar/kvbm/tiers/tier-store.ts';
import { isIdle, promptOf, record, request, run, until } from '../../../contract/engine.harness.ts';
import { type KvEngineOptions, startKvEngine } from '../../../harness/kv-engine.ts';

const BLOCK = 16;
const SMALL = { contextLengthTokens: 320, extra: { totalBlocks: '20', maxNumSeqs: '4' } };
const folder = mkdtempSync(join(tmpdir(), 'stator-kv-'));
const engines: LlamaEngine[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const engine of engines.splice(0)) await engine.stop();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function start(options: KvEngineOptions = {}): Promise<LlamaEngine> {
  const engine = await startKvEngine({ ...SMALL, ...options });
  engines.push(engine);
  return engine;
}

const stop = async (engine: LlamaEngine): Promise<void> => {
  engines.splice(engines.indexOf(engine), 1);
  await engine.stop();
};

const disk = (name = 'disk') => ({ folder: mkdtempSync(join(folder, name)), capacityBlocks: 200 });
const prompt = (engine: LlamaEngine, salt: number, blocks = 12) =>
  promptOf(engine, { length: blocks * BLOCK + 3, salt });

/** Everything that was computed is in all tiers. */
async function settled(engine: LlamaEngine): Promise<void> {
  await until(() => isIdle(engine));
  await engine.kvMemory!.whenIdle();
}

/** Pushes everything else out of the engine's own cache. */
async function fillCache(engine: LlamaEngine, salt = 900): Promise<void> {
  await run(engine, request(prompt(engine, salt, 18), { maxTokens: 1 }));
  await settled(engine);
}

it('finds in host memory what its cache gave up, and answers as before, greedy and sampled', async () => {
  const engine = await start({ hostBlocks: 100 });
  const sampling = { ...request([]).sampling, temperature: 0.9, topK: 40 };
  for (const changes of [{}, { sampling }]) {
    const ids = prompt(engine, 'sampling' in changes ? 2 : 1);
    const cold = await run(engine, request(ids, { maxTokens: 30, ...changes }));
    expect(cold.cachedTokens).toBe(0);
    await settled(engine);
    await fillCache(engine);
    const warm = await run(engine, request(ids, { maxTokens: 30, ...changes }));
    expect(warm).toMatchObject({ cachedTokens: 12 * BLOCK, tokens: cold.tokens });
    await settled(engine);
  }
});

it('never loads a whole prompt: the last token is computed', async () => {
  const engine = await start({ hostBlocks: 100 });
  const ids = prompt(engine, 1).subarray(0, 12 * BLOCK);
  const cold = await run(engine, request(ids, { maxTokens: 5 }));
  await settled(engine);
  await fillCache(engine);
  expect(await run(engine, request(ids, { maxTokens: 5 }))).toMatchObject({
    cachedTokens: 11 * BLOCK,
    tokens: cold.tokens,
  });
});

it('joins blocks of its cache and of lower tiers, and brings what equal prompts share once', async () => {
  const metrics = new Metrics({ prefix: 'stator' });
  const engine = await start({ hostBlocks: 200, metrics });
  const ids = prompt(engine, 1);
  const cold = await run(engine, request(ids, { maxTokens: 8 }));
  await settled(engine);
  await fillCache(engine);
  await run(engine, request(ids.subarray(0, 4 * BLOCK + 1), { maxTokens: 1 }));
  const outcomes = await Promise.all([1, 2, 3].map(() => run(engine, request(ids, { maxTokens: 8 }))));
  expect(outcomes.map(({ cachedTokens, tokens }) => [cachedTokens, tokens])).toEqual(
    [1, 2, 3].map(() => [12 * BLOCK, cold.tokens]),
  );
  expect(metrics.text()).toContain('stator_kvbm_onboard_blocks_total{path="h2d"} 11\n');
});

it('finds on disk what an earlier life computed', async () => {
  const options = { disk: disk() };
  const first = await start(options);
  const ids = prompt(first, 1);
  const cold = await run(first, request(ids, { maxTokens: 20 }));
  await settled(first);
  await stop(first);
  const second = await start(options);
  expect(second.kvMemory!.status()[1]).toMatchObject({ tier: 'disk', registeredBlocks: 13 });
  expect(await run(second, request(ids, { maxTokens: 20 }))).toMatchObject({
    cachedTokens: 12 * BLOCK,
    tokens: cold.tokens,
  });
});

it('brings a prompt through a host tier that is smaller than it', async () => {
  const options = { disk: disk() };
  const first = await start(options);
  const ids = prompt(first, 1);
  const cold = await run(first, request(ids, { maxTokens: 20 }));
  await settled(first);
  await stop(first);
  for (const hostBlocks of [1, 5]) {
    const second = await start({ ...options, hostBlocks });
    expect(await run(second, request(ids, { maxTokens: 20 }))).toMatchObject({
      cachedTokens: 12 * BLOCK,
      tokens: cold.tokens,
    });
    await stop(second);
  }
});

it('finds in a shared store what another worker computed', async () => {
  const shared = mkdtempSync(join(folder, 'shared'));
  const object = () => ({
    store: new SharedDirectory(shared, wallClock),
    capacityBlocks: 200,
    lookUpShared: true,
  });
  const first = await start({ object: object() });
  const ids = prompt(first, 1);
  const second = await start({ object: object() });
  const cold = await run(first, request(ids, { maxTokens: 20 }));
  await settled(first);
  expect(await run(second, request(ids, { maxTokens: 20 }))).toMatchObject({
    cachedTokens: 12 * BLOCK,
    tokens: cold.tokens,
  });
});

it('computes again what was damaged on disk, and says the same', async () => {
  const options = { disk: disk() };
  const first = await start(options);
  const ids = prompt(first, 1);
  const cold = await run(first, request(ids, { maxTokens: 20 }));
  await settled(first);
  await stop(first);
  const path = join(options.disk.folder, 'blocks');
  expect(readdirSync(options.disk.folder)).toContain('blocks');
  const bytes = readFileSync(path);
  for (let at = 5_000; at < bytes.length; at += 90_000) bytes[at]! ^= 0x40;
  writeFileSync(path, bytes);
  const metrics = new Metrics({ prefix: 'stator' });
  const second = await start({ ...options, metrics });
  const warm = await run(second, request(ids, { maxTokens: 20 }));
  expect(warm.tokens).toEqual(cold.tokens);
  expect(warm.cachedTokens).toBeLessThan(12 * BLOCK);
  expect(metrics.text()).toMatch(/stator_kvbm_faults_total\{tier="disk",fault="checksum"\} [1-9]/);
});

it('answers as without memory when the disk is full and when it fails to read', async () => {
  const full = (_: string, store: TierStore): TierStore => ({
    write: () => Promise.reject(new TierFault('no_space', 'full')),
    read: () => Promise.reject(new TierFault('io', 'broken')),
    erase: (...args) => store.erase(...args),
    close: () => store.close(),
  });
  const options = { disk: disk() };
  const first = await start(options);
  const ids = prompt(first, 1);
  const cold = await run(first, request(ids, { maxTokens: 20 }));
  await settled(first);
  await stop(first);
  const second = await start({ ...options, wrapStore: full });
  expect(await run(second, request(ids, { maxTokens: 20 }))).toMatchObject({
    cachedTokens: 0,
    tokens: cold.tokens,
  });
  await settled(second);
  expect(second.load().tiers?.find(({ tier }) => tier === 'disk')?.degraded).toBe(true);
});

it('computes what llama.cpp does not take, and drops it everywhere', async () => {
  const engine = await start({ hostBlocks: 100 });
  const ids = prompt(engine, 1);
  const cold = await run(engine, request(ids, { maxTokens: 10 }));
  await settled(engine);
  await fillCache(engine);
  const real = LlamaContext.prototype.importState;
  let count = 0;
  vi.spyOn(LlamaContext.prototype, 'importState').mockImplementation(function (this: LlamaContext, ...args) {
    return ++count !== 6 && real.apply(this, args);
  });
  expect(await run(engine, request(ids, { maxTokens: 10 }))).toMatchObject({
    cachedTokens: 6 * BLOCK,
    tokens: cold.tokens,
  });
  await settled(engine);
  await fillCache(engine);
  expect((await run(engine, request(ids, { maxTokens: 10 }))).cachedTokens).toBe(12 * BLOCK);
});

it('lets others go on while one waits for its blocks, and holds nothing of one that leaves', async () => {
  const options = { disk: disk() };
  const first = await start(options);
  const ids = prompt(first, 1);
  await run(first, request(ids, { maxTokens: 1 }));
  await settled(first);
  await stop(first);
  const gate = Promise.withResolvers<void>();
  const slow = (_: string, store: TierStore): TierStore => ({
    write: (...args) => store.write(...args),
    read: (...args) => gate.promise.then(() => store.read(...args)),
    erase: (...args) => store.erase(...args),
    close: () => store.close(),
  });
  const second = await start({ ...options, wrapStore: slow });
  const leaving = record();
  const handle = second.submit(request(ids, { maxTokens: 4 }), leaving);
  const staying = record();
  second.submit(request(ids, { maxTokens: 4 }), staying);
  const other = await run(second, request(prompt(second, 7, 3), { maxTokens: 6 }));
  expect(other.tokens).toHaveLength(6);
  expect([leaving.outcome.cachedTokens, second.load()]).toMatchObject([null, { running: 0, waiting: 2 }]);
  handle.abort();
  expect(await leaving.done).toMatchObject({ reason: 'cancelled', ends: 1 });
  gate.resolve();
  expect(await staying.done).toMatchObject({ reason: 'length', cachedTokens: 12 * BLOCK });
  await settled(second);
  const host = second.kvMemory!.status()[0]!;
  expect(host.inactiveBlocks).toBe(host.registeredBlocks);
});

it('stops while blocks are on their way', async () => {
  const options = { disk: disk() };
  const first = await start(options);
  const ids = prompt(first, 1);
  await run(first, request(ids, { maxTokens: 1 }));
  await settled(first);
  await stop(first);
  const second = await start(options);
  const cut = record();
  second.submit(request(ids), cut);
  await until(() => second.load().kvUsedBlocks > 0);
  await stop(second);
  expect(cut.outcome).toMatchObject({ reason: 'cancelled', ends: 1 });
});

it('clears all tiers of its own', async () => {
  const engine = await start({ hostBlocks: 100, disk: disk() });
  const ids = prompt(engine, 1);
  await run(engine, request(ids, { maxTokens: 1 }));
  await settled(engine);
  expect(engine.clearKvBlocks()).toBe(12);
  expect(engine.kvMemory!.blocks).toBe(0);
  expect((await run(engine, request(ids, { maxTokens: 1 }))).cachedTokens).toBe(0);
});

it('gives a peer the blocks of a prompt while that is still being computed', async () => {
  const engine = await start({ extra: { ...SMALL.extra, maxNumBatchedTokens: '32' } });
  const ids = prompt(engine, 1);
  const known: bigint[] = [];
  const unsubscribe = engine.kvMemory!.subscribe(({ kind, tier, block }) => {
    if (kind === 'stored' && tier === 'device') known.push(block.hash);
  });
  const first = record();
  engine.submit(request(ids, { maxTokens: 1 }), first);
  await until(() => known.length > 0);
  const block = { hash: known[0]!, parent: null, tokensHash: 0n, position: 0 };
  using served = await engine.kvMemory!.whenHeld(block, AbortSignal.timeout(10_000));
  expect(served?.identity.hash).toBe(known[0]);
  expect(first.outcome.ends).toBe(0);
  await first.done;
  unsubscribe();
});
