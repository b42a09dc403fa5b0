/**
 * The stub driver, NVML and NVRTC of `stub/`, compiled with the machine's C compiler: once for each state of their sources, kept
 * under the state folder. Where there is no compiler, the reason, which the suites put in their names.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PROJECT_ROOT, STATE_DIR } from '../../../cli/paths.ts';

const STUB = join(import.meta.dirname, 'stub');
const KERNELS = join(PROJECT_ROOT, 'gpu-sidecar', 'cuda', 'kernels');
const FILES = ['driver.c', 'nvrtc.c', 'nvml.c'].map((name) => join(STUB, name));
/** For the compiler. */
export const STUB_SOURCES = [`-I${KERNELS}`, ...FILES];
const FOLDER = join(STATE_DIR, 'cuda-stub');

/** How a test has C compiled. */
export function compileC(args: readonly string[]): { ok: true } | { ok: false; problem: string } {
  const compiler = process.env['CC'] || 'cc';
  const { error, status, stderr } = spawnSync(compiler, args, { encoding: 'utf8' });
  if (error) return { ok: false, problem: `no C compiler (${compiler}: ${error.message})` };
  return status === 0 ? { ok: true } : { ok: false, problem: stderr };
}

/** Path of the stub, or why it could not be built. A stub that does not compile is an error, not a reason to leave tests out. */
export function stubLibrary(): { path: string } | { problem: string } {
  const text = [...FILES, join(KERNELS, 'blocks.cu')].map((path) => readFileSync(path, 'utf8')).join('\n');
  const path = join(FOLDER, `stub-${createHash('sha256').update(text).digest('hex').slice(0, 16)}.so`);
  if (existsSync(path)) return { path };
  mkdirSync(FOLDER, { recursive: true });
  const aside = `${path}.${process.pid}`;
  const built = compileC(['-shared', '-fPIC', '-O1', '-Wall', '-Werror', '-o', aside, ...STUB_SOURCES]);
  if (!built.ok) {
    if (built.problem.startsWith('no C compiler')) {
      console.warn(`NOT RUN: suites of gpu-sidecar/cuda that need the stub driver: ${built.problem}`);
      return built;
    }
    throw new Error(`the stub driver does not compile: ${built.problem}`);
  }
  renameSync(aside, path);
  return { path };
}

let names = 0;

/** The same stub under a name that was never opened: the driver's first answer is kept by name. */
export const unopenedStub = (path: string): string => `${FOLDER}/${'./'.repeat(++names)}${basename(path)}`;
