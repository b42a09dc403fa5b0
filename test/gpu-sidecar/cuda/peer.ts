/**
 * The other process of `ipc.test.ts`: node peer.ts LIBRARY HANDLE BYTES. Opens the handle, says what it read, writes the bytes backwards,
 * closes it; then exports memory of its own, and keeps it until its standard input ends.
 */

import { toStatorError } from '../../../durable/runtime/errors.ts';
import { exportMemory, PeerMemory } from '../../../gpu-sidecar/cuda/ipc.ts';
import { DeviceMemory, PinnedMemory } from '../../../gpu-sidecar/cuda/memory.ts';
import { CudaStream } from '../../../gpu-sidecar/cuda/stream.ts';
import { contextOn } from './machine.ts';

const [library = '', handle = '', bytes = ''] = process.argv.slice(2);
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

async function main(): Promise<void> {
  using context = contextOn(library);
  const length = Number(bytes);
  {
    using stream = new CudaStream(context);
    using pinned = new PinnedMemory(context, length);
    using peer = new PeerMemory(context, { handle: Buffer.from(handle, 'hex'), bytes: length });
    stream.toHost({ memory: pinned }, { memory: peer }, length);
    await stream.done();
    const read = Buffer.from(pinned.bytes).toString('hex');
    pinned.bytes.reverse();
    stream.toDevice({ memory: peer }, { memory: pinned }, length);
    await stream.done();
    say({ read });
  }
  using own = new DeviceMemory(context, length);
  own.write(new Uint8Array(length).fill(42));
  say({ handle: Buffer.from(exportMemory(own)).toString('hex') });
  await new Promise((resolve) => process.stdin.on('end', resolve).resume());
}

main().catch((thrown) => {
  const { code, message } = toStatorError(thrown);
  say({ code, message });
});
