/**
 * NVIDIA's shared libraries through koffi: where one is found, and how its functions are declared and called.
 *
 * A function is declared by the arguments that NVIDIA's header gives it, word for word, so that a C compiler can compare
 * them with the header (test/servers/cuda.test.ts). Handles and device addresses are 64-bit numbers here; what a
 * function writes goes into a typed array that the caller passes. Calls are synchronous: 25 to 47 ns each, where koffi's
 * asynchronous calls cost 14 to 60 µs and share libuv's four threads; so nothing that waits is called, see `event.ts`.
 * Nothing is loaded at import.
 */

import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';
import { StatorError } from '../../durable/runtime/errors.ts';

export type NativeArgument = number | bigint | string | ArrayBufferView | object | null;
export type NativeCall = (...args: NativeArgument[]) => number;

export interface LibraryPlaces {
  /** A path that somebody set: then only this is tried. */
  path: string;
  /** File names for the system's own search, the first that loads. */
  names: readonly string[];
  /** Folders of a Python environment's `site-packages` in which NVIDIA's wheels keep it. */
  wheels?: readonly string[];
}

/** The library, or why there is none. Costs one failed `dlopen` a place. */
export function openLibrary(
  places: LibraryPlaces,
): { library: LibraryHandle; path: string } | { problem: string } {
  const problems: string[] = [];
  for (const path of places.path === '' ? candidates(places) : [places.path]) {
    try {
      return { library: koffi.load(path), path };
    } catch (thrown) {
      problems.push(`${path}: ${(thrown as Error).message.replace(/^Failed to load shared library: /, '')}`);
    }
  }
  return { problem: problems[0] ?? 'no name to look for' };
}

/**
 * Declares functions (name → arguments as in the header) that all return the library's status. Throws `engine_error` naming one that is
 * not there.
 */
export function declareCalls<Name extends string>(
  library: LibraryHandle,
  status: string,
  declarations: Readonly<Record<Name, string>>,
): Record<Name, NativeCall> {
  const entries = Object.entries<string>(declarations).map(([name, args]) => {
    try {
      return [name, library.func(`${status} ${name}(${args})`)];
    } catch (cause) {
      throw new StatorError('engine_error', `this library has no ${name}; it is too old`, { cause });
    }
  });
  return Object.fromEntries(entries);
}

function* candidates({ names, wheels = [] }: LibraryPlaces): Iterable<string> {
  yield* names;
  for (const name of names) yield join('/usr/local/cuda/lib64', name);
  for (const packages of sitePackages()) {
    for (const wheel of wheels) {
      for (const name of names) yield join(packages, wheel, name);
    }
  }
}

/** Where `pip install` puts packages: the active environment, the user's, the system's. */
function sitePackages(): string[] {
  const roots = [process.env['VIRTUAL_ENV'], join(homedir(), '.local'), '/usr/local', '/usr'];
  return roots
    .filter((root) => root !== undefined && root !== '')
    .flatMap((root) =>
      pythonFolders(join(root as string, 'lib')).flatMap((folder) => [
        join(folder, 'site-packages'),
        join(folder, 'dist-packages'),
      ]),
    );
}

function pythonFolders(lib: string): string[] {
  try {
    return readdirSync(lib)
      .filter((name) => /^python3(\.\d+)?$/.test(name))
      .map((name) => join(lib, name));
  } catch {
    // No such folder: nothing is installed there.
    return [];
  }
}
