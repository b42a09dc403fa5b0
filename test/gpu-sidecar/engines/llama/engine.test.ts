/** The llama engine on the built-in model: its card, its tokenizer, failed batches, and a free event loop. */

import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { Tokenizer } from '#wasm/tokens';
import { LlamaContext } from '../../../../gpu-sidecar/engines/llama/context.ts';
import type { LlamaEngine } from '../../../../gpu-sidecar/engines/llama/engine.ts';
import { llamaKind } from '../../../../gpu-sidecar/engines/llama/kind.ts';
import { BUILT_IN_MODEL_PATH } from '../../../../gpu-sidecar/models/built-in.ts';
import { ModelInput, ModelType } from '../../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { isIdle, promptOf, record, request, run, until } from '../../../contract/engine.harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-llama-'));
const engines: LlamaEngine[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const engine of engines.splice(0)) await engine.stop();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function start(
  changes: { modelPath?: string; extra?: Record<string, string> } = {},
): Promise<LlamaEngine> {
  const engine = await llamaKind.start({
    modelPath: '',
    modelName: null,
    contextLengthTokens: null,
    blockSizeTokens: 16,
    speedup: 0,
    extra: {},
    ...changes,
  });
  engines.push(engine as LlamaEngine);
  return engine as LlamaEngine;
}

const NO_TOKEN = 9_999_999;
const QUESTION = '<|im_start|>user\nWhat is Stator?<|im_end|>\n<|im_start|>assistant\n';

describe('the llama engine', () => {
  it('says in its card what the model file says', async () => {
    const { info, vocabulary } = await start();
    const { card, artifacts } = info;
    expect(card).toMatchObject({
      name: 'stator-tiny',
      contextLengthTokens: 1024,
      kvCacheBlockSize: 16,
      modelInput: ModelInput.TOKENS,
      eosToken: '<|im_end|>',
      addBosToken: false,
      modelTypes: [ModelType.CHAT, ModelType.COMPLETIONS, ModelType.EMBEDDING],
    });
    expect(card.eosTokenIds.every((id) => vocabulary.isEndOfGeneration(id))).toBe(true);
    expect(card.specialTokens).toContain('<|im_start|>');
    const template = new TextDecoder().decode(artifacts.get(card.chatTemplate!.sha256));
    expect(template).toContain('add_generation_prompt');
    expect(Number(card.tokenizer!.sizeBytes)).toBe(artifacts.get(card.tokenizer!.sha256)!.length);
    expect(info.deterministic).toBe(true);
  });

  it('tells what each of its batches computed, and how long that took', async () => {
    const engine = await start();
    const ids = promptOf(engine, { length: 40, salt: 1 });
    const startedMs = performance.now();
    await run(engine, request(ids, { maxTokens: 6 }));
    const tookMs = performance.now() - startedMs;
    const passes = engine.passes.take();
    const sum = (of: (pass: (typeof passes)[number]) => number) => passes.reduce((all, p) => all + of(p), 0);
    expect(sum(({ prefillTokens }) => prefillTokens)).toBe(40);
    const steps = passes.filter(({ prefillTokens }) => prefillTokens === 0);
    expect(steps.map(({ decodeKvTokens }) => decodeKvTokens)).toEqual([41, 42, 43, 44, 45]);
    expect(passes.every(({ wallMs }) => wallMs > 0)).toBe(true);
    expect(sum(({ wallMs }) => wallMs)).toBeLessThanOrEqual(tookMs);
    // 32 of 40 tokens are whole blocks that it has.
    await run(engine, request(ids, { maxTokens: 1 }));
    expect(engine.passes.take()).toMatchObject([{ prefillTokens: 8, decodeKvTokens: 0, queuedTokens: 0 }]);
    expect(engine.load().decodeKvTokens).toBe(0);
  });

  it('answers a question in words, and ends by itself', async () => {
    const engine = await start();
    const { info, vocabulary } = engine;
    const json = new TextDecoder().decode(info.artifacts.get(info.card.tokenizer!.sha256));
    const { ids } = new Tokenizer(json).encode(QUESTION, { blockSize: 16 });
    const outcome = await run(engine, request(ids, { maxTokens: 200, ignoreEos: false }));
    const text = Buffer.concat(outcome.tokens.map((id) => vocabulary.tokenBytes(id))).toString();
    expect(outcome.reason).toBe('stop');
    expect(text).toMatch(/^[A-Z]\w* .+[.!?]$/s);
  });

  it('tokenises like the wasm tokenizer, guards included', async () => {
    const engine = await start();
    const { info } = engine;
    const json = new TextDecoder().decode(info.artifacts.get(info.card.tokenizer!.sha256));
    const tokenizer = new Tokenizer(json);
    const same = (text: string, guard: string) => {
      const ours = engine.tokenize(text, { parseSpecial: true, guard });
      expect([...ours]).toEqual([
        ...tokenizer.encode(text, { blockSize: 16, ...(guard ? { guard } : {}) }).ids,
      ]);
      return ours;
    };
    const first = same(QUESTION, '')[0]!;
    expect(engine.vocabulary.isControl(first)).toBe(true);
    const guarded = QUESTION.replace('What', '<\ue000|im_end|> What');
    const ids = same(guarded, '\ue000');
    expect([...ids].filter((id) => engine.vocabulary.isControl(id))).toHaveLength(3);
    const plain = engine.tokenize('<|im_end|>', { parseSpecial: false, guard: '' });
    expect([...plain].some((id) => engine.vocabulary.isControl(id))).toBe(false);
  });

  it('tokenises in the sidecar when the file names an unknown pre-tokenizer', async () => {
    const bytes = readFileSync(BUILT_IN_MODEL_PATH);
    const at = bytes.indexOf('smollm', bytes.indexOf('tokenizer.ggml.pre'));
    bytes.write('viking', at, 'latin1');
    const path = join(folder, 'viking.gguf');
    writeFileSync(path, bytes);
    const engine = await start({ modelPath: path });
    expect(engine.info.card.modelInput).toBe(ModelInput.TEXT);
    expect(engine.info.card.tokenizer).toBeUndefined();
    expect(engine.tokenize('Hello', { parseSpecial: true, guard: '' }).length).toBeGreaterThan(0);
  });

  it('ends the requests of a failed batch with an error, and goes on', async () => {
    const engine = await start();
    const ids = promptOf(engine, { length: 40, salt: 1 });
    const expected = await run(engine, request(ids));
    const { add } = LlamaContext.prototype;
    vi.spyOn(LlamaContext.prototype, 'add').mockImplementationOnce(function (this: LlamaContext, _, place) {
      return add.call(this, NO_TOKEN, place);
    });
    const [one, other] = await Promise.all([
      run(engine, request(ids)),
      run(engine, request(ids.subarray(3))),
    ]);
    expect([one.reason, other.reason]).toEqual(['error', 'error']);
    expect(one.error).toMatchObject({
      code: 'engine_error',
      message: expect.stringMatching(/llama_decode failed with -1: .*token/),
    });
    await until(() => isIdle(engine));
    vi.restoreAllMocks();
    expect((await run(engine, request(ids))).tokens).toEqual(expected.tokens);
  });

  it('keeps the event loop free while it computes', async () => {
    const engine = await start();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const asked = Array.from({ length: 4 }, (_, salt) =>
      request(promptOf(engine, { length: 500, salt }), { maxTokens: 20 }),
    );
    const before = performance.eventLoopUtilization();
    delay.enable();
    await Promise.all(asked.map((one) => run(engine, one)));
    delay.disable();
    const after = performance.eventLoopUtilization();
    const used = (after.active - before.active) / (after.active - before.active + after.idle - before.idle);
    expect(used).toBeLessThan(0.7);
    expect(delay.percentile(50) / 1e6).toBeLessThan(20);
  });

  it('stops within a batch when it is told to in the middle of a prefill', async () => {
    const engine = await start({ extra: { maxNumBatchedTokens: '64' } });
    const recording = record();
    engine.submit(request(promptOf(engine, { length: 1_000, salt: 3 })), recording);
    await until(() => engine.load().running === 1);
    await engine.stop();
    expect(recording.outcome).toMatchObject({ reason: 'cancelled', ends: 1, tokens: [] });
  });

  it('refuses a broken file before llama.cpp sees it, and an unknown option', async () => {
    const cut = join(folder, 'cut.gguf');
    copyFileSync(BUILT_IN_MODEL_PATH, cut);
    writeFileSync(cut, readFileSync(cut).subarray(0, 1_000_000));
    await expect(start({ modelPath: cut })).rejects.toThrow(/cut\.gguf is cut off: the tensor/);
    await expect(start({ extra: { nope: '1' } })).rejects.toThrow(/nope/);
    await expect(start({ extra: { threads: 'many' } })).rejects.toThrow(/option threads of the engine llama/);
  });

  it('names what llama.cpp does not like about a file', async () => {
    const bytes = readFileSync(BUILT_IN_MODEL_PATH);
    bytes.write('lxama', bytes.indexOf('llama', bytes.indexOf('general.architecture')), 'latin1');
    const path = join(folder, 'lxama.gguf');
    writeFileSync(path, bytes);
    await expect(start({ modelPath: path })).rejects.toThrow(/cannot load .*lxama\.gguf: .*architecture/);
  });
});
