/**
 * The ways to move blocks that this process has, in the order of preference, and why it lacks the others.
 *
 * The order is that of `BACKEND_NAMES`: `shm` before `nixl`, because on one host it measured better (docs/decisions/0016) and
 * is no choice between hosts. The setting `transfer_backends` restricts and orders.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { HostArena } from '../kvbm/tiers/host-arena.ts';
import type { Timers } from '../timers.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';
import { BACKEND_NAMES, type BackendName, type TransferBackend } from './backend.ts';
import { CudaIpcBackend } from './backends/cuda-ipc.ts';
import { NixlBackend } from './backends/nixl.ts';
import { ShmBackend } from './backends/shm.ts';
import { TcpBackend } from './backends/tcp.ts';
import { toTransferFault } from './fault.ts';

export interface BackendsOptions {
  /** The setting: names with commas between them; empty: all. */
  wanted: string;
  /** The setting: file or folder of libnixl_capi; empty: where it usually is. */
  nixlLibrary: string;
  /** The setting: the CUDA driver, for cuda-ipc. */
  cudaLibrary?: string;
  /** Where blocks leave and arrive. */
  arena: HostArena;
  /** Address that peers reach this process at. */
  host: string;
  tls: FleetTls | null;
  timers: Timers;
}

export interface OpenBackends extends AsyncDisposable {
  readonly available: readonly TransferBackend[];
  /** What is not available, and why. */
  readonly missing: readonly { name: BackendName; reason: string }[];
}

type Open = (options: BackendsOptions) => TransferBackend | Promise<TransferBackend>;

/** Each throws, saying what it lacks. */
const OPENERS: Readonly<Record<BackendName, Open>> = {
  // Without being asked for by name it would come before shm, which needs one way over the bus less.
  'cuda-ipc': ({ arena, cudaLibrary = '', timers, wanted }) => {
    if (wanted.trim() === '')
      throw new Error('used only where transfer_backends names it: blocks are in host memory');
    return new CudaIpcBackend({ arena, library: cudaLibrary, timers });
  },
  nixl: ({ arena, nixlLibrary, timers }) => new NixlBackend({ arena, library: nixlLibrary, timers }),
  shm: ({ arena, timers }) => new ShmBackend(arena, timers),
  tcp: ({ host, tls }) => TcpBackend.listen({ host, port: 0, tls }),
};

/** Never without `tcp` unless the setting leaves it out. Throws `invalid_request` for a name that there is not. */
export async function openBackends(options: BackendsOptions): Promise<OpenBackends> {
  const available: TransferBackend[] = [];
  const missing: { name: BackendName; reason: string }[] = [];
  for (const name of wantedBackends(options.wanted)) {
    try {
      available.push(await OPENERS[name](options));
    } catch (thrown) {
      missing.push({ name, reason: toTransferFault(thrown, 'backend').message });
    }
  }
  return {
    available,
    missing,
    async [Symbol.asyncDispose]() {
      for (const backend of available) await backend[Symbol.asyncDispose]();
    },
  };
}

function wantedBackends(setting: string): BackendName[] {
  if (setting.trim() === '') return [...BACKEND_NAMES];
  return setting.split(',').map((text) => {
    const name = BACKEND_NAMES.find((known) => known === text.trim());
    if (name) return name;
    const message = `transfer_backends: ${text.trim()} is none of ${BACKEND_NAMES.join(', ')}`;
    throw new StatorError('invalid_request', message, { param: 'transferBackends' });
  });
}
