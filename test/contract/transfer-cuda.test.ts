/** The contract of transfers over device memory that two processes share: on a GPU where there is one, else on the stub driver. */

import { describe } from 'vitest';
import { CudaIpcBackend } from '../../gpu-sidecar/transfer/backends/cuda-ipc.ts';
import { cudaMachine } from '../gpu-sidecar/cuda/machine.ts';
import { transferContract } from './transfer.contract.ts';
import { transferKills } from './transfer.kills.ts';

const machine = cudaMachine();

/** For the processes that are killed, too. */
process.env['STATOR_CUDA_LIBRARY'] = machine.library;

describe.skipIf(machine.kind === 'none')(machine.words, () => {
  transferContract({
    name: 'cuda-ipc',
    open: async (arena, timers) => new CudaIpcBackend({ arena, library: machine.library, timers }),
  });
  transferKills('cuda-ipc');
});
