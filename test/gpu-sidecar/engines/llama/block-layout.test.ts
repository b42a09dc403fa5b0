/** What a block of the built-in model is, and which models have none. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { LlamaContext } from '../../../../gpu-sidecar/engines/llama/context.ts';
import { blockBytes } from '../../../../gpu-sidecar/kvbm/layout.ts';
import { startKvEngine } from '../../../harness/kv-engine.ts';
import { encoderFile } from '../../models/gguf/encoder-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-layout-'));
afterEach(() => void vi.restoreAllMocks());
afterAll(() => rmSync(folder, { recursive: true }));

let calls = 0;
const SMALL = { contextLengthTokens: 256, extra: { maxNumSeqs: '2' } };

describe('the layout of blocks', () => {
  it('is measured: numbers as the metadata says, and what llama.cpp puts around them', async () => {
    const engine = await startKvEngine(SMALL);
    const { layout } = engine.kvMemory!;
    expect(layout).toMatchObject({
      model: expect.stringMatching(/^stator-tiny@[0-9a-f]{16}$/),
      format: expect.stringMatching(/^llama-state-1 \(\d+\.\d+/),
      dtype: 'f32',
      layers: 5,
      kvHeads: 1,
      keyHeadSize: 64,
      valueHeadSize: 64,
      blockSizeTokens: 16,
    });
    expect(blockBytes(layout) - layout.overheadBytes).toBe(16 * 5 * 128 * 4);
    expect(layout.overheadBytes).toBeGreaterThan(0);
    expect(layout.overheadBytes).toBeLessThan(1_024);
    await engine.stop();
  });

  it.each<[string, 'stateBytes' | 'exportState' | 'importState', () => unknown]>([
    ['differ in size', 'stateBytes', () => 50_000 + ++calls],
    ['cannot be written', 'exportState', () => false],
    ['cannot be read', 'importState', () => false],
    ['are smaller than their numbers', 'stateBytes', () => 1_000],
  ])('is none when blocks %s', async (_, method, answer) => {
    vi.spyOn(LlamaContext.prototype, method).mockImplementation(answer as never);
    await expect(startKvEngine(SMALL)).rejects.toThrow('KV memory: ');
  });

  it('is none of a model that only embeds', async () => {
    const modelPath = join(folder, 'encoder.gguf');
    writeFileSync(modelPath, encoderFile());
    await expect(startKvEngine({ modelPath })).rejects.toThrow('cannot be cut into blocks');
  });
});
