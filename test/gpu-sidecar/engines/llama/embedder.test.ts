/** llama.cpp makes vectors of texts that mean something, whatever they shared a batch with. */

import { afterAll, describe, expect, it } from 'vitest';
import { Tokenizer } from '#wasm/tokens';
import type { Engine } from '../../../../gpu-sidecar/engines/engine.ts';
import { llamaKind } from '../../../../gpu-sidecar/engines/llama/kind.ts';
import { ModelType } from '../../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';

const never = new AbortController().signal;
let engine: Engine | null = null;

async function started(): Promise<Engine> {
  engine ??= await llamaKind.start({
    modelPath: '',
    modelName: null,
    contextLengthTokens: null,
    blockSizeTokens: 16,
    speedup: 1,
    extra: {},
  });
  return engine;
}

afterAll(() => engine?.stop());

async function tokensOf(texts: readonly string[]): Promise<Uint32Array[]> {
  const { info } = await started();
  const json = new TextDecoder().decode(info.artifacts.get(info.card.tokenizer!.sha256));
  using tokenizer = new Tokenizer(json);
  return texts.map((text) => tokenizer.encode(text, { blockSize: 16 }).ids.slice());
}

async function embed(inputs: readonly Uint32Array[]): Promise<Float32Array[]> {
  const { embedder } = await started();
  const rows = await embedder!.embed(inputs, never);
  const { dimensions } = embedder!;
  return inputs.map((_, at) => rows.slice(at * dimensions, (at + 1) * dimensions));
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, at) => sum + value * b[at]!, 0);

describe('the llama embedder', () => {
  it('is in the card, with the length of its vectors', async () => {
    const { info, embedder } = await started();
    expect(info.card.modelTypes).toContain(ModelType.EMBEDDING);
    expect(info.card.embeddingDimensions).toBe(192);
    expect(embedder!.dimensions).toBe(192);
    expect(embedder!.maxTokens).toBe(1024);
  });

  it('gives each text a vector of length 1, nearer to its paraphrase than to something else', async () => {
    const texts = await tokensOf([
      'What is the capital of France?',
      'What is the capital city of France?',
      'Stator routes requests by the KV cache.',
    ]);
    const [paris, again, stator] = await embed(texts);
    for (const vector of [paris!, again!, stator!]) expect(dot(vector, vector)).toBeCloseTo(1, 5);
    expect(dot(paris!, again!)).toBeGreaterThan(dot(paris!, stator!) + 0.05);
  });

  it('gives a text the same vector alone and among others, before and behind long ones', async () => {
    const long = Uint32Array.from({ length: 1000 }, (_, at) => 100 + (at % 900));
    const texts = await tokensOf(['a KV block', 'the planner', 'twenty questions', 'What is a worker?']);
    const together = await embed([...texts, long, ...texts]);
    for (const [at, ids] of texts.entries()) {
      const [alone] = await embed([ids]);
      expect(dot(alone!, together[at]!)).toBeCloseTo(1, 5);
      expect(dot(alone!, together[at + 5]!)).toBeCloseTo(1, 5);
    }
  });

  it('stops between two batches when the caller has left, and goes on for others', async () => {
    const { embedder } = await started();
    const gone = new AbortController();
    const long = Array.from({ length: 40 }, () => new Uint32Array(1000).fill(7));
    const cut = embedder!.embed(long, gone.signal).catch((error) => error.code);
    const other = embedder!.embed([Uint32Array.of(5, 6)], never);
    gone.abort();
    expect(await cut).toBe('cancelled');
    expect((await other).length).toBe(192);
  });

  it('generates beside it', async () => {
    const running = await started();
    const [ids] = await tokensOf(['<|im_start|>user\nWhat is Stator?<|im_end|>\n<|im_start|>assistant\n']);
    const tokens: number[] = [];
    const ended = new Promise<string>((resolve) => {
      running.submit(
        {
          requestId: 'r',
          tokenIds: ids!,
          promptTokens: ids!.length,
          blockHashes: new Uint8Array(),
          hashSeed: 0n,
          sampling: {
            temperature: 0,
            topP: 1,
            topK: 0,
            minP: 0,
            seed: 1n,
            choice: 0,
            topLogprobs: null,
            presencePenalty: 0,
            frequencyPenalty: 0,
            repetitionPenalty: 1,
            logitBias: new Map(),
          },
          maxTokens: 8,
          minTokens: 0,
          stopTokenIds: [],
          ignoreEos: true,
          priority: 0,
        },
        { started() {}, token: (id) => void tokens.push(id), end: resolve },
      );
    });
    const [vector] = await embed([ids!]);
    expect(vector!.length).toBe(192);
    expect(await ended).toBe('length');
    expect(tokens).toHaveLength(8);
  });
});
