/**
 * Compiled kernels on disk, by what they were compiled from: source, options, architecture, compiler version. A file is its own
 * SHA-256 and then the machine code, written aside and renamed, so that half a file is never found under its name; one
 * that does not match its hash is compiled again. Nothing is deleted: a kernel is some kilobytes. Failures of the disk cost the
 * compilation and nothing else.
 */

import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KernelSource, Nvrtc } from './nvrtc.ts';

const HASH_BYTES = 32;

/** Machine code from the cache, or compiled and put there. Throws what `compile` throws. */
export function compiledKernel(
  nvrtc: Pick<Nvrtc, 'version' | 'compile'>,
  source: KernelSource,
  { architecture, folder }: { architecture: string; folder: string },
): Uint8Array {
  const words = [source.text, ...(source.options ?? []), architecture, nvrtc.version];
  const name = createHash('sha256').update(JSON.stringify(words)).digest('hex');
  const file = join(folder, `${name}.cubin`);
  const kept = read(file);
  if (kept !== null) return kept;
  const code = nvrtc.compile(source, architecture);
  keep(file, code, folder);
  return code;
}

const hashOf = (code: Uint8Array): Buffer => createHash('sha256').update(code).digest();

function read(file: string): Uint8Array | null {
  try {
    const bytes = readFileSync(file);
    const code = bytes.subarray(HASH_BYTES);
    return hashOf(code).equals(bytes.subarray(0, HASH_BYTES)) ? code : null;
  } catch {
    // Not there, or not readable: compile.
    return null;
  }
}

function keep(file: string, code: Uint8Array, folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    const aside = `${file}.${randomBytes(6).toString('hex')}`;
    writeFileSync(aside, Buffer.concat([hashOf(code), code]));
    renameSync(aside, file);
  } catch {
    // A full or read-only disk: the next start compiles again.
  }
}
