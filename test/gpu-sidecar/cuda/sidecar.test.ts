/** A whole worker beside a GPU (the stub's): what its `/metrics` shows, and what it says when layers shall be on a GPU that is not there. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../../cli/paths.ts';
import { ScriptedRouter } from '../../harness/scripted-router.ts';
import { soon } from '../../harness/soon.ts';
import { stubLibrary } from './stub-library.ts';

const stub = stubLibrary();
const children: ChildProcess[] = [];

afterEach(async () => {
  const ended = children.filter(({ exitCode }) => exitCode === null).map((child) => once(child, 'close'));
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await Promise.all(ended);
});

type Line = Record<string, string>;

function start(env: Record<string, string>): Line[] {
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'gpu-sidecar', 'main.ts')], {
    env: { STATOR_FLEET_TOKEN: 'secret', STATOR_LOG_LEVEL: 'error', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines: Line[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  return lines;
}

describe('a worker', () => {
  it.skipIf('problem' in stub)('shows the GPUs of its machine among its metrics', async () => {
    await using router = await ScriptedRouter.open();
    const lines = start({
      STATOR_ENGINE: 'mock',
      STATOR_PLATFORM_URL: `http://127.0.0.1:${router.port}`,
      STATOR_NVML_LIBRARY: 'path' in stub ? stub.path : '',
    });
    const serving = await soon(() => {
      const line = lines.find(({ phase }) => phase === 'serving');
      expect(line).toBeDefined();
      return line!;
    });
    const text = await (
      await fetch(`${serving['http']}/metrics`, { headers: { authorization: 'Bearer secret' } })
    ).text();
    expect(text).toMatch(/^\w+_gpu_utilization\{gpu="0",uuid="GPU-[^"]+",name="Stub GPU 0"\} 0\.37$/m);
    expect(text).toMatch(/^\w+_gpu_memory_used_bytes\{.*\} 41000000000$/m);
  });

  it('that shall have layers on a GPU does not start without one, and says why', async () => {
    const lines = start({
      STATOR_ENGINE: 'llama',
      STATOR_GPU_LAYERS: '99',
      STATOR_CUDA_LIBRARY: '/nowhere/libcuda.so.1',
    });
    const error = await soon(() => {
      const line = lines.find(({ event }) => event === 'error');
      expect(line).toBeDefined();
      return line!;
    });
    expect(error).toMatchObject({ code: 'engine_error' });
    expect(error['message']).toMatch(
      process.platform === 'linux' ? /NVIDIA driver library|no prebuilt/ : /./,
    );
  });
});
