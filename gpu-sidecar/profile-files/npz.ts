/**
 * Several named arrays in one `.npz`: a zip of `.npy` files, stored or deflated, as `numpy.savez` and `savez_compressed` write
 * them. What it unpacks to is bounded before it is unpacked, and an entry never takes more than it announces; checksums of
 * the zip are not compared, lengths of the arrays are.
 */

import { unzipSync, zipSync } from 'fflate';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { type NpyArray, readNpy, writeNpy } from './npy.ts';

export type Arrays = ReadonlyMap<string, NpyArray>;

/** `name` is what errors call the file. Throws `invalid_request`. */
export function readNpz(bytes: Uint8Array, name: string): Arrays {
  let entries = 0;
  let total = 0;
  const refused = (what: string) => new StatorError('invalid_request', `${name} ${what}`, { param: name });
  let files: Record<string, Uint8Array>;
  try {
    files = unzipSync(bytes, {
      filter(entry) {
        entries++;
        total += entry.originalSize;
        if (entries > LIMITS.npzEntries) throw refused(`has more than ${LIMITS.npzEntries} entries`);
        if (total > LIMITS.npzBytes) throw refused(`unpacks to more than ${LIMITS.npzBytes} bytes`);
        return entry.name.endsWith('.npy');
      },
    });
  } catch (thrown) {
    if (thrown instanceof StatorError) throw thrown;
    throw refused(`is no .npz archive, or only a part of one (${(thrown as Error).message})`);
  }
  return new Map(
    Object.entries(files).map(([file, content]) => {
      const key = file.slice(0, -'.npy'.length);
      return [key, readNpy(content, `${name}: ${key}`)];
    }),
  );
}

export function writeNpz(arrays: Arrays): Uint8Array {
  const files = [...arrays].map(([key, array]) => [`${key}.npy`, writeNpy(array)] as const);
  // As NumPy's own: stored, not deflated. The time is the zip format's first, so that the same arrays give the same bytes.
  return zipSync(Object.fromEntries(files), { level: 0, mtime: '1980-01-01T00:00:00' });
}
