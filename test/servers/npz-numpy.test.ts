/** Does NumPy read what we write, as Dynamo's planner would? */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { plannerArrays } from '../../gpu-sidecar/profile-files/dynamo-arrays.ts';
import { writeNpz } from '../../gpu-sidecar/profile-files/npz.ts';
import { pythonWithPackages, seenByPython } from './python.ts';

test("NumPy reads our arrays, those of Dynamo's planner among them", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stator-npz-'));
  try {
    const python = await pythonWithPackages();
    const seen = async (arrays: Parameters<typeof writeNpz>[0]) => {
      const path = join(folder, 'raw_data.npz');
      writeFileSync(path, writeNpz(arrays));
      return seenByPython<Record<string, object>>(python, 'npz_reader.py', [path]);
    };
    const cube = { shape: [2, 1, 3], values: Float64Array.of(1, 2.5, -3, 1e300, 5e-324, 6) };
    expect(await seen(new Map([['cube', cube]]))).toEqual({
      cube: { dtype: '<f8', shape: [2, 1, 3], values: [...cube.values] },
    });
    const { decode } = plannerArrays({
      prefill: { inputTokens: [1], ttftMs: [1], tokensPerSecondPerGpu: [1] },
      decode: {
        maxKvTokens: 7,
        points: { kvUsage: [0.5], contextTokens: [3], itlMs: [4], tokensPerSecondPerGpu: [5] },
      },
    });
    expect(await seen(decode)).toMatchObject({
      max_kv_tokens: { shape: [1], values: [7] },
      x_kv_usage: { values: [0.5] },
      z_thpt_per_gpu: { values: [5] },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 600_000);
