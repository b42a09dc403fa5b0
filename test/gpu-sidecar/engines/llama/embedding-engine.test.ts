/** An encoder: it embeds, says so, and does not generate. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { llamaKind } from '../../../../gpu-sidecar/engines/llama/kind.ts';
import { ModelInput, ModelType } from '../../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { encoderFile } from '../../models/gguf/encoder-file.ts';

it('embeds with the pooling of its file, between the tokens that it wants around a text', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stator-encoder-'));
  const modelPath = join(folder, 'encoder.gguf');
  writeFileSync(modelPath, encoderFile());
  const shared = { modelName: null, contextLengthTokens: null, blockSizeTokens: 16, speedup: 1, extra: {} };
  const engine = await llamaKind.start({ modelPath, ...shared });
  try {
    const { card } = engine.info;
    expect(card).toMatchObject({
      name: 'small-encoder',
      modelTypes: [ModelType.EMBEDDING],
      modelInput: ModelInput.TEXT,
      embeddingDimensions: 32,
      contextLengthTokens: 64,
    });
    const { embedder } = engine;
    // [CLS] and [SEP] stand around each text.
    expect(embedder!.maxTokens).toBe(62);
    const ids = engine.tokenize!('the router routes', { parseSpecial: true, guard: '' });
    expect([...ids]).toEqual([4, 5, 8]);
    const never = new AbortController().signal;
    const long = new Uint32Array(62).fill(7);
    const rows = await embedder!.embed(
      [ids, Uint32Array.of(4, 6, 7), Uint32Array.of(2, ...ids, 3), long],
      never,
    );
    const row = (at: number) => rows.subarray(at * 32, (at + 1) * 32);
    const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, at) => sum + value * b[at]!, 0);
    for (let at = 0; at < 4; at++) expect(dot(row(at), row(at))).toBeCloseTo(1, 5);
    expect(dot(row(0), row(2))).toBeCloseTo(1, 5);
    expect(dot(row(0), row(1))).toBeLessThan(0.99999);
    expect(() => engine.submit({} as never, {} as never)).toThrow('vectors only');
  } finally {
    await engine.stop();
    rmSync(folder, { recursive: true });
  }
});
