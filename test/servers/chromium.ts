/**
 * A headless Chromium: the one that is installed, else Debian's package, installed when we may. It runs with a profile
 * of its own that is thrown away, and with everything switched off that would call home.
 */

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const INSTALL_TIMEOUT_MS = 420_000;
const VISIT_TIMEOUT_MS = 90_000;
const QUIET = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-extensions',
];

function installed(): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync) ?? null;
}

/** Path of a Chromium. Throws saying what to install when there is none and it cannot be installed from here. */
export async function chromium(): Promise<string> {
  const found = installed();
  if (found) return found;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error('chromium is missing, and only root on Debian can install it here: put one on PATH');
  }
  const options = {
    timeout: INSTALL_TIMEOUT_MS,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  };
  await run('apt-get', ['update', '-qq'], options);
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], options);
  const fresh = installed();
  if (!fresh) throw new Error('apt-get installed chromium, but it is not on PATH');
  return fresh;
}

/** Opens a page and gives what the flags ask for on stdout (`--dump-dom`). */
export async function visit(browser: string, url: string, flags: readonly string[]): Promise<string> {
  const profile = mkdtempSync(join(tmpdir(), 'stator-chromium-'));
  try {
    const args = [...QUIET, `--user-data-dir=${profile}`, ...flags, url];
    const options = {
      timeout: VISIT_TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
      env: { ...process.env, HOME: profile },
    };
    return (await run(browser, args, options)).stdout;
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
