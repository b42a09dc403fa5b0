/** Two processes share device memory by handles: neither copies through the host to get at the other's. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { exportMemory, PeerMemory } from '../../../gpu-sidecar/cuda/ipc.ts';
import { DeviceMemory } from '../../../gpu-sidecar/cuda/memory.ts';
import { CudaStream } from '../../../gpu-sidecar/cuda/stream.ts';
import { contextOn, cudaMachine } from './machine.ts';

const machine = cudaMachine();
const BYTES = 8_192;

function startPeer(args: string[]): { child: ChildProcess; next: () => Promise<Record<string, string>> } {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'peer.ts'), machine.library, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return { child, next: async () => JSON.parse((await lines.next()).value as string) };
}

describe.skipIf(machine.kind === 'none')(`memory of another process (${machine.words})`, () => {
  it('is read and written by both', async () => {
    using context = contextOn(machine.library);
    using memory = new DeviceMemory(context, BYTES);
    const bytes = Uint8Array.from({ length: BYTES }, (_, i) => (i * 7) & 255);
    memory.write(bytes);
    const { child, next } = startPeer([Buffer.from(exportMemory(memory)).toString('hex'), String(BYTES)]);
    try {
      expect(await next()).toEqual({ read: Buffer.from(bytes).toString('hex') });
      const now = new Uint8Array(BYTES);
      memory.read(now);
      expect(Buffer.compare(now, bytes.toReversed())).toBe(0);
      const { handle } = await next();
      using theirs = new PeerMemory(context, { handle: Buffer.from(handle!, 'hex'), bytes: BYTES });
      using copy = new DeviceMemory(context, BYTES);
      using stream = new CudaStream(context);
      stream.onDevice({ memory: copy }, { memory: theirs }, BYTES);
      await stream.done();
      copy.read(now);
      expect(now.every((byte) => byte === 42)).toBe(true);
    } finally {
      const ended = once(child, 'exit');
      child.stdin!.end();
      expect((await ended)[0]).toBe(0);
    }
  });

  // The real driver promises nothing here.
  it.skipIf(machine.kind === 'real')('is refused when its owner has freed it', async () => {
    using context = contextOn(machine.library);
    const memory = new DeviceMemory(context, BYTES);
    const handle = Buffer.from(exportMemory(memory)).toString('hex');
    memory[Symbol.dispose]();
    const { child, next } = startPeer([handle, String(BYTES)]);
    expect(await next()).toMatchObject({
      code: 'engine_error',
      message: expect.stringContaining('cuIpcOpen'),
    });
    if (child.exitCode === null) await once(child, 'exit');
  });
});
