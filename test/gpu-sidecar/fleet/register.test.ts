/** Which workers may serve one model together: the card's checksum says so, and nothing else goes into it. */

import { copyFileSync, mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { engineKind } from '../../../gpu-sidecar/engines/registry.ts';
import { registerFrame } from '../../../gpu-sidecar/fleet/register.ts';
import { BUILT_IN_MODEL_PATH } from '../../../gpu-sidecar/models/built-in.ts';
import { WorkerType } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';

const identity = { instanceId: '1', epoch: 1, httpAddress: 'http://127.0.0.1:1', grpcAddress: '127.0.0.1:2' };

async function checksumOf(
  engine: 'mock' | 'llama',
  modelPath: string,
  change: { blockSizeTokens?: number } = {},
): Promise<string> {
  const options = { modelPath, modelName: 'm', contextLengthTokens: 64, blockSizeTokens: 16, speedup: 0 };
  const started = await engineKind(engine).start({ ...options, extra: {}, ...change });
  const { cardChecksum } = registerFrame(identity, started.info);
  await started.stop();
  return cardChecksum;
}

test.each(['mock', 'llama'] as const)('two copies of a model file make one model (%s)', async (engine) => {
  const directory = mkdtempSync(join(tmpdir(), 'stator-copies-'));
  try {
    const copies = ['one.gguf', 'two.gguf'].map((name, index) => {
      const copy = join(directory, name);
      copyFileSync(BUILT_IN_MODEL_PATH, copy);
      utimesSync(copy, 1_000 + index, 1_000 + index);
      return copy;
    });
    const [one, two] = await Promise.all(copies.map((copy) => checksumOf(engine, copy)));
    expect(one).toBe(two);
    expect(await checksumOf(engine, copies[0]!, { blockSizeTokens: 32 })).not.toBe(one);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a worker says its taints', async () => {
  const options = { modelPath: BUILT_IN_MODEL_PATH, modelName: 'm', contextLengthTokens: 64, speedup: 0 };
  const started = await engineKind('mock').start({ ...options, blockSizeTokens: 16, extra: {} });
  const { runtime } = registerFrame(identity, started.info, {
    workerTaints: 'zone=a, gpu=h200,',
    workerType: 'aggregated',
  });
  expect(runtime?.taints).toEqual(['zone=a', 'gpu=h200']);
  expect(registerFrame(identity, started.info).runtime?.taints).toEqual([]);
  await started.stop();
});

test.each([
  ['prefill', WorkerType.PREFILL, 'prefill'],
  ['decode', WorkerType.DECODE, 'backend'],
  ['aggregated', WorkerType.AGGREGATED, 'backend'],
] as const)('a %s worker says its role and its component', async (workerType, type, component) => {
  const options = { modelPath: BUILT_IN_MODEL_PATH, modelName: 'm', contextLengthTokens: 64, speedup: 0 };
  const started = await engineKind('mock').start({ ...options, blockSizeTokens: 16, extra: {} });
  const said = registerFrame(identity, started.info, { workerTaints: '', workerType });
  expect(said).toMatchObject({ workerType: type, component });
  // One model, whatever the roles of its workers.
  expect(said.cardChecksum).toBe(registerFrame(identity, started.info).cardChecksum);
  await started.stop();
});
