/** One backend by its name, as the registry opens it; what is missing is an error that says why. */

import { openBackends } from '../../../gpu-sidecar/transfer/open-backends.ts';
import type { EndOptions } from './transfer-ends.ts';

export const openOnly =
  (name: string, nixlLibrary = ''): EndOptions['open'] =>
  async (arena, timers) => {
    const opened = await openBackends({
      wanted: name,
      nixlLibrary,
      cudaLibrary: process.env['STATOR_CUDA_LIBRARY'] ?? '',
      arena,
      host: '127.0.0.1',
      tls: null,
      timers,
    });
    const [backend] = opened.available;
    if (backend === undefined) throw new Error(opened.missing[0]?.reason);
    return backend;
  };
