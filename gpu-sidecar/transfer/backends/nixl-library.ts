/**
 * Where NIXL's C library is: as the setting says, else in the usual places, else in an installed Python package (`nixl-cu12`,
 * `nixl-cu13`), whose place `python3` is asked for. Found once, at the start.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TransferFault } from '../fault.ts';

const FILE = 'libnixl_capi.so';
const PYTHON_TIMEOUT_MS = 5_000;
const MACHINE = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
const USUAL = [
  `/opt/nvidia/nvda_nixl/lib/${MACHINE}-linux-gnu`,
  `/usr/local/nixl/lib/${MACHINE}-linux-gnu`,
  `/usr/lib/${MACHINE}-linux-gnu`,
  '/usr/local/lib',
];
/** Wheels keep their libraries in a hidden folder beside the package. */
const ASK_PYTHON = `
import importlib.util, os
for name in ("nixl_cu13", "nixl_cu12"):
    spec = importlib.util.find_spec(name)
    if spec and spec.origin:
        print(os.path.join(os.path.dirname(os.path.dirname(spec.origin)), "." + name + ".mesonpy.libs"))
`;

export interface NixlLibrary {
  path: string;
  /** Folder of its backends; null: it knows itself. */
  plugins: string | null;
}

/** `setting`: file or folder; empty: look for it. Throws `backend` saying where it was looked for. */
export function findNixlLibrary(setting: string): NixlLibrary {
  if (setting !== '') {
    const found = libraryAt(setting);
    if (found) return found;
    throw new TransferFault('backend', `nixl_library: there is no ${FILE} at ${setting}`);
  }
  for (const place of [...USUAL, ...placesOfPython()]) {
    const found = libraryAt(place);
    if (found) return found;
  }
  const message = `no ${FILE} in ${USUAL.join(', ')} or in a Python package (pip install nixl-cu12); nixl_library names another place`;
  throw new TransferFault('backend', message);
}

function libraryAt(place: string): NixlLibrary | null {
  if (!existsSync(place)) return null;
  const path = statSync(place).isDirectory() ? join(place, FILE) : place;
  if (!existsSync(path)) return null;
  const plugins = join(dirname(path), 'plugins');
  return { path, plugins: existsSync(plugins) ? plugins : null };
}

function placesOfPython(): string[] {
  try {
    return execFileSync('python3', ['-c', ASK_PYTHON], {
      encoding: 'utf8',
      timeout: PYTHON_TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .split('\n')
      .filter(Boolean);
  } catch {
    return [];
  }
}
